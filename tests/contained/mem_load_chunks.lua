-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local kept = {}
  for at = 1, math.huge do kept[at] = load("return function() return " .. at .. " end") end
end)
