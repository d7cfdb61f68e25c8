-- Called with each message that is just "!ping".
return function(notification)
  notification.message:reply("pong")
end
