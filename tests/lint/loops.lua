-- message_received
-- What goes through lists, and what gives one thing after the other.
return function(notification)
  for contact in olvid.contact_list do print(contact) end
  for _, contact in ipairs(olvid.contact_list {}) do print(contact) end
  for _, message in pairs(olvid.message_list { filter = { discussion_id = notification.message.discussion_id } }) do print(message) end
  local groups = olvid.group_list()
  print(#groups, #notification.message.reactions, #olvid.discussion_list {})
  for reaction in notification.message.reactions do print(reaction) end
  for attachment in notification.message:attachments() do print(attachment) end
  for contact in olvid.contact_list {} do print(contact.display_name) end
  for _, reaction in ipairs(notification.message.reactions) do print(reaction) end
end
