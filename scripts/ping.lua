-- Answers `!ping`.

---@param notification olvid.MessageReceivedNotification
return function(notification)
  notification.message:reply("pong")
end
