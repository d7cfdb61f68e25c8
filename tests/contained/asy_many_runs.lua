-- expect: timeout
-- rule: timeout=500ms concurrency=1 order=rule
return require "attack"(function()
  for _ = 1, 100 do coroutine.wrap(function() sleep(0.001) end)() end
  sleep(3600)
end)
