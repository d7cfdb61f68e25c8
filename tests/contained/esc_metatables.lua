-- expect: ok prints "contained"
-- Metatables of what all scripts share, and of what the host made.
return require "attack"(function(notification, rule)
  local _, refusal = pcall(olvid.message_send, { nonsense = 1 })
  local _, _, _, stream = olvid.contact_list {}
  local shared = {
    string, table, math, utf8, os, coroutine, olvid, json, log, json.null, json.array {}, notification,
    notification.message, print, coroutine.create(print), refusal, stream, 1, true,
  }
  for at, value in pairs(shared) do
    local meta = getmetatable(value)
    assert(type(meta) ~= "table", at)
  end
  print "contained"
end)
