-- expect: denied "permissions"
-- No file is readable unless `permissions` say so.
return require "attack"(function()
  local discussion = require "lib.discussion"()
  olvid.message_send_with_attachments { discussion_id = discussion, body = "x", files = { { path = "attack.lua" } } }
end)
