-- message_received
return function(notification)
  local id = notification.message.discussion_id
  olvid.message_send { discusion_id = id, body = "x" }
  olvid.message_send { discussion_id = "7", body = 7 }
  olvid.message_send { discussion_id = -1, body = true, ephemerality = { read_once = "yes" } }
  olvid.message_send { id, "pong" }
  olvid.message_list { unread = "yes", filter = { type = "TYPE_INBUOND", nothing = 1 } }
  olvid.message_list { filter = { reply_to_a_message = true, do_not_reply_to_a_message = true } }
  olvid.message_send_with_attachments { discussion_id = id, body = "x", files = { { fname = "a", content = "b" } } }
  olvid.message_send_with_attachments { discussion_id = id, boddy = "x", files = { { path = "a.png" } } }
  olvid.discussion_get { discussion_id = function() end }
end
