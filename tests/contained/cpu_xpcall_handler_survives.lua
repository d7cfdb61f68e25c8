-- expect: cpu
-- rule: cpu=100ms
-- A handler must not be told of the end of the run.
return require "attack"(function()
  xpcall(function() while true do end end, function() print "escaped: the handler was called" end)
  print "escaped: it went on behind xpcall"
end)
