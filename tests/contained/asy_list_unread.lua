-- expect: ok prints "contained"
-- Lists that are begun and left.
return require "attack"(function()
  for _ = 1, 100 do
    for _ in olvid.contact_list {} do break end
    olvid.contact_list {}
  end
  print "contained"
end)
