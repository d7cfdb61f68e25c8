-- expect: error "olvid.message_send" or cpu
-- A mistake a field, each of them told.
return require "attack"(function()
  local fields = {}
  for at = 1, 100000 do fields["field" .. at] = at end
  olvid.message_send(fields)
end)
