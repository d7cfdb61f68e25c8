-- expect: ok prints "contained" or output or memory
-- rule: memory=16MiB
-- A small table that is large when it is written.
return require "attack"(function()
  local fields, text = {}, ("x"):rep(1 << 20)
  for at = 1, 1000 do fields["field" .. at] = text end
  log.info("fields", fields)
  print "contained"
end)
