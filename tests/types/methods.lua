-- Methods that an object does not have, and arguments that they do not take.

---@param notification olvid.MessageReceivedNotification
return function(notification)
  local message = notification.message
  message:answer("x") --! undefined-field
  message:send("x") --! undefined-field
  message:save("received") --! undefined-field
  message.reply("x") --! missing-parameter
  message:reply(5) --! param-type-mismatch
  message:reply() --! missing-parameter
  message:reply { text = "x" } --! param-type-mismatch
  message:reply("x", true) --! param-type-mismatch
  message:reply { body = "x", quote = "yes" } --! param-type-mismatch
  message:react() --! missing-parameter
  message:react(message) --! param-type-mismatch
  message:delete { everybody = true } --! param-type-mismatch
  message:delete { everywhere = 1 } --! param-type-mismatch
  message:discussion():reply("x") --! undefined-field
  message:discussion():contact():send("x") --! need-check-nil
  message:sender():send("x") --! need-check-nil
  for _, attachment in ipairs(message:attachments()) do
    attachment:open() --! undefined-field
  end
  message:attachments():save("received") --! undefined-field
  message:attachments()[1]:download() --! need-check-nil
  message:attachments()[1]:save() --! missing-parameter
  log.info(message:sender().display_name) --! need-check-nil
  log.info(message.replied_message_id.id) --! need-check-nil
  log.info(message.message_location.latitude) --! need-check-nil
  olvid.identity_get():set_photo(5) --! param-type-mismatch
  olvid.group_get({ group_id = 1 }):add_members("alice") --! param-type-mismatch
  olvid.contact_get({ contact_id = 1 }):introduce() --! missing-parameter
end
