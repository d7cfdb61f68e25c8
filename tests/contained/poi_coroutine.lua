-- expect: ok prints "contained"
-- A wait goes on though the script has taken `coroutine` away.
return require "attack"(function()
  local wrap = coroutine.wrap
  coroutine = nil
  sleep(0)
  wrap(function() sleep(0) end)()
  print "contained"
end)
