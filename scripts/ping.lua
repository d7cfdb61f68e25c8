-- Answers `!ping`.

return function(notification)
  notification.message:reply("pong")
end
