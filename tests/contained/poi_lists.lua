-- expect: ok prints "contained"
-- The mark of a list is shared by all lists.
return require "attack"(function(notification)
  local meta = getmetatable(notification.message.reactions)
  assert(type(meta) ~= "table")
  rawset(notification.message.reactions, "poison", true)
  assert(json.decode("[]").poison == nil)
  print "contained"
end)
