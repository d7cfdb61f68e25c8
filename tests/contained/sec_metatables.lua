-- expect: ok prints "contained"
return require "attack"(function(notification, rule)
  local _, refusal = pcall(olvid.message_send, { nonsense = 1 })
  local iterator, _, _, stream = olvid.contact_list {}
  for _, value in pairs { notification, notification.message, rule, refusal, iterator, stream, json.null, "", 1 } do
    local meta = getmetatable(value)
    print(tostring(meta))
    assert(type(meta) ~= "table")
  end
  for key, value in pairs(refusal) do print(key, tostring(value)) end
  print "contained"
end)
