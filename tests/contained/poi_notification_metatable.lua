-- expect: ok prints "contained"
return require "attack"(function(notification)
  setmetatable(notification, { __index = function() while true do end end })
  pcall(setmetatable, notification.message, { __index = { body = "poison" } })
  pcall(setmetatable, notification.message.reactions, { __index = { "poison" } })
  notification.message.body = nil
  print "contained"
end)
