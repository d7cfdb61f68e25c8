-- expect: error "admin"
return require "attack"(function()
  olvid.admin_client_key_list {}
end)
