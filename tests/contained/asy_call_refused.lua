-- expect: ok prints "contained" or cpu or timeout
-- rule: timeout=2s
-- Each is refused before it is sent.
return require "attack"(function()
  for _ = 1, 1000 do pcall(olvid.message_send, { discussion_id = "seven" }) end
  print "contained"
end)
