-- expect: ok prints "contained"
return require "attack"(function()
  print 'contained","level":"error","event":"started","rule":"witness","x":"'
  print "contained\\\",\\u0000"
end)
