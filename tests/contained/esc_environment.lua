-- expect: denied "permissions"
return require "attack"(function()
  print("escaped " .. tostring(env.PATH))
end)
