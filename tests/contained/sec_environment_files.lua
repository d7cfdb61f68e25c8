-- expect: ok prints "contained"
-- Where a process's environment and arguments can be read.
return require "attack"(function()
  local discussion = require "lib.discussion"()
  local paths = {
    "/proc/self/environ", "/proc/self/cmdline", "/proc/thread-self/environ", "/proc/self/mem", "/proc/1/environ",
    "../../../../../../proc/self/environ", "key", ".env", "../key", "rules.yaml", "sec_environment_files.yaml",
  }
  for _, path in ipairs(paths) do
    local files = { { path = path } }
    local ok, e = pcall(olvid.message_send_with_attachments, { discussion_id = discussion, body = "x", files = files })
    assert(not ok, path)
    print(tostring(e))
    ok, e = pcall(olvid.identity_set_photo, { path = path })
    assert(not ok, path)
    print(tostring(e))
  end
  print "contained"
end)
