-- expect: ok prints "contained" or output
return require "attack"(function()
  local fields = {}
  for at = 1, 100000 do fields["field" .. at] = at end
  log.info("fields", fields)
  print "contained"
end)
