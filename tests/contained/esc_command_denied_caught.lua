-- expect: ok prints "contained"
-- permissions: { commands: [message_send] }
-- A denial is a refusal like any other.
return require "attack"(function(notification)
  local ok, e = pcall(olvid.message_delete, { message_id = { type = "inbound", id = 1 } })
  assert(not ok and e.code == "PERMISSION_DENIED" and e.sent == false)
  local through_method = pcall(notification.message.delete, notification.message)
  assert(not through_method)
  local listed = pcall(function() for _ in olvid.contact_list {} do end end)
  assert(not listed)
  print "contained"
end)
