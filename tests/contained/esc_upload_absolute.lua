-- expect: ok prints "contained"
-- A file that is sent is one that may be read.
return require "attack"(function()
  local discussion = require "lib.discussion"()
  local paths = {
    "/etc/passwd", "/proc/self/environ", "/proc/self/cmdline", "../secret.lua", "lib/../../secret.lua", "outside.lua",
    "away/secret.lua", "pipe.lua", "device.lua", "..", "/", "", ".", "/dev/zero", "/dev/stdin", "attack.lua\0.png",
  }
  for _, path in ipairs(paths) do
    local ok = pcall(olvid.message_send_with_attachments, { discussion_id = discussion, body = "x", files = { { path = path } } })
    assert(not ok, path)
  end
  print "contained"
end)
