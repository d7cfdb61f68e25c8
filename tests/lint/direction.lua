-- message_received
-- What is shown in another order than it is run in.
return function(notification)
  local message = notification.message
  --[[ only for admins‮ ]] if message.body == "!stop" then return end
  message:reply("‫pong")
  message:reply("‫שלום‬, ⁨" .. message.body .. "⁩, א‏1")
end
