-- message_received
-- A value of an enum is its documented name, whole.
return function(notification)
  local message = notification.message
  local kind = message.id.type
  if kind == "inbound" or "TYPE_INBOUND" ~= kind or kind == "TYPE_INBUOND" then print "never" end
  if message.id.type == "elsewhere" or kind == "TYPE_INBOUND" then print "sometimes" end
end
