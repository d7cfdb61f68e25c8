-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  pcall(function() while true do end end)
  print "escaped: it went on behind pcall"
end)
