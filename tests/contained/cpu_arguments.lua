-- expect: cpu
-- rule: cpu=100ms
-- What commands are asked with is looked at before anything is sent.
return require "attack"(function()
  local ids = {}
  for at = 1, 10000 do ids[at] = "no number" end
  while true do pcall(olvid.group_new_standard_group, { contact_ids = ids }) end
end)
