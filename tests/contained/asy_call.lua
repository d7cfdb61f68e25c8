-- expect: timeout "keycloak_user_list"
-- rule: timeout=300ms
-- A command that is never answered. (The test sees to that.)
return require "attack"(function()
  for _ in olvid.keycloak_user_list {} do end
end)
