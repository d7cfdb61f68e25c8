-- expect: cpu
-- rule: cpu=200ms
return require "attack"(function()
  local text = ("x"):rep(4 << 20)
  local a, b = text .. "a", text .. "a"
  while a == b do end
end)
