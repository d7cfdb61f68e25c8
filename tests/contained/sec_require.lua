-- expect: ok prints "contained"
-- What is in a file that is no Lua is not told by its syntax error. `secret_key.lua` holds the key.
return require "attack"(function()
  for _, name in ipairs { "key", ".env", "env", "secret_key" } do
    local ok, e = pcall(require, name)
    assert(not ok, name)
    print(tostring(e))
  end
  print "contained"
end)
