-- expect: ok prints "contained"
-- Metamethods of received objects are the host's; what they find in an object is not.
return require "attack"(function(notification)
  local message = notification.message
  message.id = setmetatable({}, { __eq = function() while true do end end, __tostring = function() while true do end end })
  message.body = setmetatable({}, { __tostring = error })
  print "contained"
end)
