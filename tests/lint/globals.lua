-- message_received
-- Each name once.
counter = 0
return function(notification)
  counter = counter + 1
  prnt(counter, notification.message.body)
  prnt "again"
  io.write "x"
  local parts = unpack { 1 }
  loadstring "x"
  frobnicate(parts)
  if nope then print(self) end
end
