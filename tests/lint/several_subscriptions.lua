-- message_received message_sent group_name_updated
-- What one of them has is no mistake.
return function(notification)
  if notification.group then print(notification.group.name, notification.group.nmae) end
  if notification.message then print(notification.message.body, notification.message.bdy) end
  print(notification.contact)
end
