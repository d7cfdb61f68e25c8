-- expect: denied "permissions"
-- permissions: { commands: [message_send] }
return require "attack"(function()
  olvid.message_delete { message_id = { type = "inbound", id = 1 } }
end)
