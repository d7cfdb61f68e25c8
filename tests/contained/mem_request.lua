-- expect: memory or error
-- rule: memory=8MiB
-- A small table that is large when it is sent.
return require "attack"(function()
  local files, content = {}, ("x"):rep(1 << 20)
  for at = 1, 1000 do files[at] = { filename = "a.bin", content = content } end
  olvid.message_send_with_attachments { discussion_id = 1, body = "x", files = files }
end)
