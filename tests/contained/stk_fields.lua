-- expect: ok prints "contained"
return require "attack"(function()
  local cycle, deep = {}, {}
  cycle.again = cycle
  for _ = 1, 100000 do deep = { deep } end
  log.info("cycle", cycle)
  log.info("deep", { deep = deep })
  print "contained"
end)
