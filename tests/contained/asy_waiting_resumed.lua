-- expect: timeout prints "contained"
-- rule: timeout=1s order=none
-- A coroutine that waits is resumed by another run: its answer is not that run's.
local waiting
return require "attack"(function()
  waiting = coroutine.create(function() sleep(3600) end)
  coroutine.resume(waiting)
end, function()
  while not waiting do sleep(0.01) end
  local ok, e = coroutine.resume(waiting)
  assert(not ok, "it was resumed")
  local closed = pcall(coroutine.close, waiting)
  print(closed and tostring(e):find "^cannot resume a coroutine that waits" and "escaped: it was closed" or "contained")
end)
