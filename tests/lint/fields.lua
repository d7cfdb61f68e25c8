-- message_received
-- What an object does not have, however it is reached.
return function(notification, rule)
  local message = notification.message
  print(message.bdy, message["boddy"], notification.mesage, rule.subscripton)
  for _, reaction in ipairs(message.reactions) do print(reaction.emoji) end
  for at, reaction in pairs(message.reactions) do print(at, reaction.reactoin) end
  print(message.reactions[1].reacton)
  print(message.message_location.lattitude)
  local discussion = olvid.discussion_get { discussion_id = message.discussion_id }
  print(discussion.titel)
  for contact in olvid.contact_list {} do print(contact.displayname) end
end
