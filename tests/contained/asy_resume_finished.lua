-- expect: ok prints "contained"
return require "attack"(function()
  local co = coroutine.create(function() end)
  coroutine.resume(co)
  for _ = 1, 100 do assert(not coroutine.resume(co)) end
  local failing = coroutine.wrap(error)
  pcall(failing)
  assert(not pcall(failing))
  print "contained"
end)
