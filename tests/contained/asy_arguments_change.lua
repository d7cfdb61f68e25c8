-- expect: ok prints "contained"
-- What is sent is what was given, whatever becomes of the table while the call waits.
return require "attack"(function()
  local asked = setmetatable({}, { __index = function() while true do end end, __pairs = error })
  pcall(olvid.contact_list, asked)
  pcall(olvid.message_send, setmetatable({ discussion_id = 1 }, { __index = { body = "x" } }))
  print "contained"
end)
