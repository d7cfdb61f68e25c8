-- expect: ok prints "contained"
return require "attack"(function(...)
  print(nil, true, 1, 0.5, {}, print, coroutine.create(print), json.null, ...)
  print()
  log.info(nil)
  log.info {}
  log.error(0 / 0)
  print "contained"
end)
