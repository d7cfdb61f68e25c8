-- expect: cpu
-- rule: cpu=100ms
-- Compiling is work too.
return require "attack"(function()
  local text = ("local a = { 1, 2, 3 } "):rep(100)
  while true do load(text) end
end)
