-- expect: ok prints "contained"
return require "attack"(function()
  math.randomseed(1)
  pcall(math.random, 0)
  print "contained"
end)
