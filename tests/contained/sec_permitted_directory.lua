-- expect: ok prints "contained"
-- permissions: { read: [lib] }
-- What lies beside a directory that may be read.
return require "attack"(function()
  local discussion = require "lib.discussion"()
  for _, path in ipairs { "key", ".env", "lib/../key", "lib/key", "lib/../.env", "./key" } do
    local files = { { path = path } }
    local ok, e = pcall(olvid.message_send_with_attachments, { discussion_id = discussion, body = "x", files = files })
    assert(not ok, path)
    print(tostring(e))
  end
  print "contained"
end)
