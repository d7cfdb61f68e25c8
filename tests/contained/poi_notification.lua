-- expect: ok prints "contained"
return require "attack"(function(notification)
  notification.message.body = "escaped"
  notification.message.poison = true
  notification.message.reactions[1] = "poison"
  notification.poison = true
  notification.message = { poison = true, body = "escaped" }
  print "contained"
end)
