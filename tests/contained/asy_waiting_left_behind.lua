-- expect: timeout prints "contained"
-- rule: timeout=300ms
-- The run that waited is over; what it has left is resumed and closed by the next one.
local waiting
return require "attack"(function()
  waiting = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() sleep(3600) end })
    sleep(3600)
    print "escaped: it went on"
  end)
  coroutine.resume(waiting)
end, function()
  local ok = coroutine.resume(waiting)
  assert(not ok)
  pcall(coroutine.close, waiting)
  print "contained"
end)
