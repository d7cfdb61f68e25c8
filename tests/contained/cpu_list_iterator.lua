-- expect: cpu
-- rule: cpu=100ms
-- In the loop over what a command lists.
return require "attack"(function()
  for _ in olvid.contact_list {} do
    while true do end
  end
end)
