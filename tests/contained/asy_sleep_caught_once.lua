-- expect: timeout
-- rule: timeout=300ms
return require "attack"(function()
  xpcall(sleep, function() print "escaped: the handler was called" end, 3600)
  print "escaped: it went on"
end)
