-- message_received
return function(notification)
  local message = notification.message
  message:repyl "pong"
  message:bdy()
  message.repyl("pong")
  if message:is_inbound() then message:react "👍" end
end
