-- Says again what follows `!echo`.
--
-- The rule listens to received messages only, so the bot never hears itself.

---@param notification olvid.MessageReceivedNotification
return function(notification)
  local message = notification.message
  local text = message.body:match("^!%a+%s+(.+)$")
  message:reply(text or "usage: !echo TEXT")
end
