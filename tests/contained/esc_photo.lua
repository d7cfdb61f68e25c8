-- expect: denied "permissions"
return require "attack"(function()
  olvid.identity_set_photo { path = "attack.lua" }
end)
