-- expect: ok prints "contained"
return require "attack"(function()
  local next_one, _, _, stream = olvid.contact_list {}
  do
    local _ <close> = stream
  end
  for _ = 1, 10 do pcall(next_one) end
  print "contained"
end)
