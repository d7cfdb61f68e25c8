-- expect: cpu
-- rule: cpu=100ms
-- The way over a table that was emptied is as long as it was.
return require "attack"(function()
  local list = {}
  for at = 1, 100000 do list[at] = at end
  for at = 1, 100000 do list[at] = nil end
  while next(list) == nil do end
end)
