-- expect: ok prints "contained"
return require "attack"(function()
  print "contained \xff\xfe\xc3\x28\xed\xa0\x80\xf8\x88\x80\x80\x80"
end)
