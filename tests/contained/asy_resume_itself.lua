-- expect: ok prints "contained"
return require "attack"(function()
  local co
  co = coroutine.create(function()
    assert(not coroutine.resume(co))
    assert(not pcall(coroutine.close, co))
    sleep(0)
    assert(not coroutine.resume(co))
  end)
  assert(coroutine.resume(co))
  print "contained"
end)
