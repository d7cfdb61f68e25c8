-- message_received
return function(notification)
  local message = notification.message
  message:repyl "pong"
  message:bdy()
  message.repyl("pong")
  message.reply("pong")
  message.react()
  message.reply(message, "pong")
  if message:is_inbound() then message:react "👍" end
end
