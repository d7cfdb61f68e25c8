-- expect: ok prints "contained"
-- A method is replaced in one object and in no other one.
return require "attack"(function(notification)
  local mine = notification.message
  local before = mine.reply
  mine.reply = function() return "escaped" end
  assert(getmetatable(mine) == false or getmetatable(mine) == nil)
  rawset(mine, "reply", nil)
  assert(mine.reply == before)
  print "contained"
end)
