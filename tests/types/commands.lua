-- Commands that do not exist, arguments that they do not take, and answers that are not what they are taken for.

---@param notification olvid.MessageReceivedNotification
return function(notification)
  local message = notification.message
  local here = message.discussion_id
  olvid.send_message { discussion_id = here, body = "x" } --! undefined-field
  olvid.mesage_send { discussion_id = here, body = "x" } --! undefined-field
  olvid.message_send { discussion_id = here } --! missing-fields
  olvid.message_send { body = "x" } --! missing-fields
  olvid.message_send { discussion_id = here, body = "x", text = "x" } --! param-type-mismatch
  olvid.message_send { discusion_id = here, body = "x" } --! missing-fields
  olvid.message_send { discussion_id = "7", body = "x" } --! assign-type-mismatch
  olvid.message_send { discussion_id = here, body = 5 } --! assign-type-mismatch
  olvid.message_send { discussion_id = here, body = "x", reply_id = message.sender_id } --! assign-type-mismatch
  olvid.message_send { discussion_id = here, body = "x", reply_id = { type = "inbound" } } --! missing-fields
  olvid.message_send { discussion_id = here, body = "x", reply_id = { type = "received", id = 1 } } --! assign-type-mismatch
  olvid.message_send { discussion_id = here, body = "x", ephemerality = { seconds = 5 } } --! assign-type-mismatch
  olvid.message_send { discussion_id = here, body = "x", ephemerality = { read_once = "yes" } } --! assign-type-mismatch
  olvid.message_send(here, "x") --! redundant-parameter
  olvid.message_send("x") --! param-type-mismatch
  olvid.message_send() --! missing-parameter
  olvid.message_react { message_id = message.id, emoji = "x" } --! param-type-mismatch
  olvid.message_react { message_id = 12, reaction = "x" } --! assign-type-mismatch
  olvid.message_list { filter = { body = "x" } } --! param-type-mismatch
  olvid.message_list { filter = { type = "sent" } } --! param-type-mismatch
  olvid.message_list { unread = "yes" } --! param-type-mismatch
  olvid.group_list { filter = { member_filters = { contact_id = 1 } } } --! param-type-mismatch
  olvid.message_send_with_attachments { discussion_id = here, files = { { content = 5 } } } --! assign-type-mismatch
  olvid.group_set_photo { group_id = 1, file = "a.png" } --! param-type-mismatch
  olvid.message_list { unred = true } --! param-type-mismatch
  olvid.ping { count = 1 } --! param-type-mismatch
  for one in olvid.message_list { unread = true } do
    log.info(one.text) --! undefined-field
  end
  for page in olvid.keycloak_user_list() do
    log.info(page.display_name) --! undefined-field
  end
  log.info(olvid.contact_get({ contact_id = 1 }).name) --! undefined-field
  log.info(olvid.daemon_version().version) --! undefined-field
  log.info(olvid.message_send_with_attachments({ discussion_id = here, files = {} }).body) --! undefined-field
  local mistaken = olvid.message_delete { message_id = message.id, everywhere = true } --! param-type-mismatch
  log.info(mistaken)
end
