-- expect: timeout
-- rule: timeout=300ms
return require "attack"(function()
  while true do
    pcall(function() for _ in olvid.keycloak_user_list {} do end end)
  end
end)
