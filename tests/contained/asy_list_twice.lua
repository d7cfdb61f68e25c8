-- expect: ok prints "contained"
-- One list read by two, in turn.
return require "attack"(function()
  local next_one = olvid.contact_list {}
  local function read() return next_one() end
  coroutine.wrap(read)()
  coroutine.wrap(read)()
  for _ = 1, 10 do pcall(next_one) end
  print "contained"
end)
