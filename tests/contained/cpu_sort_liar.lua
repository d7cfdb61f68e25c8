-- expect: error "invalid order function" or ok or cpu
-- rule: cpu=200ms
-- A comparator that contradicts itself.
return require "attack"(function()
  local list = {}
  for at = 1, 10000 do list[at] = at end
  table.sort(list, function() return true end)
end)
