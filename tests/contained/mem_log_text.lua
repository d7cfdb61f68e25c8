-- expect: ok prints "contained" or output or memory
-- rule: memory=16MiB
return require "attack"(function()
  log.info(("x"):rep(10 << 20))
  print "contained"
end)
