-- expect: ok prints "contained"
-- What is sent holds what the script wrote, and nothing of the host's memory.
return require "attack"(function(notification)
  local discussion = require "lib.discussion"()
  local ok = pcall(olvid.message_send_with_attachments, {
    discussion_id = discussion, body = "x",
    files = { { filename = "a.txt", content = ("\0"):rep(100000) } },
  })
  assert(ok ~= nil)
  print "contained"
end)
