-- expect: error "olvid.message_send"
-- Where a table of fields is expected, one that contains itself.
return require "attack"(function()
  local cycle = { discussion_id = 1, body = "x" }
  cycle.reply_id = cycle
  olvid.message_send(cycle)
end)
