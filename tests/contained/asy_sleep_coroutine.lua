-- expect: timeout
-- rule: timeout=300ms
return require "attack"(function()
  local co = coroutine.create(function() sleep(3600) end)
  coroutine.resume(co)
  print "escaped: it went on"
end)
