-- expect: ok prints "contained"
-- A handler's own coroutine is the host's.
return require "attack"(function()
  local own, main = coroutine.running()
  assert(main == true)
  assert(not pcall(coroutine.yield, 1))
  assert(not coroutine.isyieldable())
  assert(not coroutine.resume(own))
  assert(not pcall(coroutine.close, own))
  assert(coroutine.status(own) == "running")
  print "contained"
end)
