-- expect: error
return require "attack"(function()
  local _, _, _, stream = olvid.contact_list {}
  error(stream)
end)
