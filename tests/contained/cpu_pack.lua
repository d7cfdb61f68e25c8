-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local format = ("i16"):rep(10000)
  while true do string.packsize(format) end
end)
