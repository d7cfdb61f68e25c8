-- expect: ok prints "contained"
return require "attack"(function()
  local before = olvid.message_send
  pcall(function() olvid.message_send = function() return "escaped" end end)
  assert(olvid.message_send == before)
  pcall(function() olvid.no_such_command = print end)
  assert(not pcall(function() return olvid.no_such_command end))
  print "contained"
end)
