-- expect: ok prints "contained"
return require "attack"(function()
  print "contained \u{9b}31m\u{85}\u{90}\u{9d}\u{7f}\x9b\x85"
end)
