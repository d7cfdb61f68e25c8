-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  olvid.message_send { discussion_id = 1, body = ("x"):rep(100 << 20) }
end)
