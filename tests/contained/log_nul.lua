-- expect: ok prints "contained"
return require "attack"(function()
  print "contained \0\1\2\x7f"
end)
