-- expect: ok prints "contained"
-- The same from a coroutine in it.
return require "attack"(function()
  local own = coroutine.running()
  coroutine.wrap(function()
    assert(not coroutine.resume(own))
    assert(not pcall(coroutine.close, own))
    assert(coroutine.status(own) == "normal")
  end)()
  print "contained"
end)
