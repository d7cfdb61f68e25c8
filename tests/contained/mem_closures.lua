-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local list = {}
  for at = 1, math.huge do
    list[at] = function() return list, at end
  end
end)
