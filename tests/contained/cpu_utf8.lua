-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local text = ("é"):rep(200000)
  while true do utf8.len(text) end
end)
