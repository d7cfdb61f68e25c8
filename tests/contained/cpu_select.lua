-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local many = {}
  for at = 1, 10000 do many[at] = at end
  while true do select("#", table.unpack(many)) end
end)
