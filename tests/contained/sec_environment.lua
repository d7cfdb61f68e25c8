-- expect: ok prints "contained"
return require "attack"(function()
  for _, name in ipairs { "OLVID_CLIENT_KEY", "OLVID_ADMIN_CLIENT_KEY", "OLVID_CLIENT_KEY_FILE", "CREDENTIALS_DIRECTORY" } do
    local ok, value = pcall(function() return env[name] end)
    assert(not (ok and value), name)
  end
  print "contained"
end)
