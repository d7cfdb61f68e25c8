-- expect: ok prints "contained"
-- A replaced iterator reaches its own script only.
return require "attack"(function()
  pairs = function() return function() end end
  ipairs, next = pairs, pairs
  print "contained"
end)
