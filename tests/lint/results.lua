-- message_received
-- What methods give is known too.
return function(notification)
  local message = notification.message
  print(message:discussion().titel, message:sender().dispaly_name, message:get_discussion().title)
  local sent, attachments = message:reply "pong"
  print(sent.bdy, attachments)
  sent:reakt "👍"
  for _, attachment in ipairs(message:attachments()) do print(attachment.file_nam, attachment.file_name) end
  local contact = message:sender()
  if contact then print(contact:invite().nothing, contact:discussion():settings_of()) end
  print(message.discussion(message).whatever, message:is_inbound().whatever)
end
