-- expect: ok prints "contained"
return require "attack"(function()
  print "contained \u{202e}gnp.exe\u{2066}\u{2069}\u{200b}\u{feff}\u{2028}\u{2029}"
end)
