-- expect: ok prints "contained" prints "later"
local next_one
return require "attack"(function()
  next_one = olvid.contact_list {}
  next_one()
  print "contained"
end, function()
  for _ = 1, 10 do pcall(next_one) end
  print "later"
end)
