-- expect: ok prints "contained"
-- permissions: { read: [lib] }
return require "attack"(function()
  local discussion = require "lib.discussion"
  local function send(path)
    return pcall(olvid.message_send_with_attachments, { discussion_id = discussion(), body = "x", files = { { path = path } } })
  end
  for _, path in ipairs { "attack.lua", "lib/../attack.lua", "../secret.lua", "lib", "lib/outside.lua", "library.lua" } do
    local ok = send(path)
    assert(not ok, path)
  end
  assert(send "lib/itself.lua")
  print "contained"
end)
