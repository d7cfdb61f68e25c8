-- expect: ok prints "contained"
-- twin
-- Two rules, one script, one notification: the other one's handler gets a table of its own.
local seen
return function(notification, rule)
  local message = notification.message
  if seen == notification or seen == message then print "escaped: the same table" end
  if message.poison or notification.poison or rule.poison then print "escaped: the same content" end
  seen = message
  message.poison, notification.poison = true, true
  pcall(function() rule.poison = true end)
  pcall(rawset, rule, "poison", true)
  local says = { attack = "contained", next = "alive", ["end"] = "end" }
  print(says[message.body])
end
