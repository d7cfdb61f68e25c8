-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local function ping() while true do coroutine.yield() end end
  local a, b = coroutine.create(ping), coroutine.create(ping)
  while true do
    coroutine.resume(a)
    coroutine.resume(b)
  end
end)
