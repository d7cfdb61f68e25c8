-- expect: ok prints "contained" or output or memory or cpu
-- rule: memory=8MiB
return require "attack"(function()
  local graph = { a = 1 }
  for _ = 1, 40 do graph = { a = graph, b = graph } end
  log.info("fields", graph)
  print "contained"
end)
