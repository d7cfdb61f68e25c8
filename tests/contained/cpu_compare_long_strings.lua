-- expect: cpu
-- rule: cpu=200ms
return require "attack"(function()
  local text = ("x"):rep(4 << 20)
  local a, b = text .. "a", text .. "b"
  local times = 0
  while a < b do times = times + 1 end
end)
