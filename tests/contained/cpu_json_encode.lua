-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local list = {}
  for at = 1, 10000 do list[at] = at end
  while true do json.encode(list) end
end)
