-- expect: memory or cpu
-- rule: memory=8MiB cpu=1s
-- Weak tables that hold each other: work for the collector.
return require "attack"(function()
  local kept = {}
  for at = 1, math.huge do
    local weak = setmetatable({}, { __mode = "k" })
    weak[kept] = weak
    kept[weak] = at
  end
end)
