-- expect: ok prints "contained"
return require "attack"(function()
  print "contained \27[2J\27[31mred\27]0;title\7\b\b\b"
end)
