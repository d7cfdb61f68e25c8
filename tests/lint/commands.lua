-- message_received
return function(notification)
  olvid.mesage_send { discussion_id = 1, body = "x" }
  olvid.frobnicate {}
  olvid.message_send(notification.message.discussion_id, "x")
  olvid.message_send "x"
  olvid.message_send(7)
  olvid:message_send { discussion_id = 1, body = "x" }
  local send = olvid.message_sned
  send {}
end
