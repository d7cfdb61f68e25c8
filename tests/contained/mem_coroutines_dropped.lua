-- expect: ok prints "contained" or cpu
-- rule: memory=8MiB cpu=3s
-- Many, each of which is forgotten at once.
return require "attack"(function()
  for _ = 1, 100000 do
    coroutine.resume(coroutine.create(function() coroutine.yield() end))
  end
  print "contained"
end)
