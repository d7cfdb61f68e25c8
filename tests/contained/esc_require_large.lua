-- expect: ok prints "contained"
return require "attack"(function()
  assert(not pcall(require, "large"))
  assert(not pcall(require, "binary"))
  print "contained"
end)
