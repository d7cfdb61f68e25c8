-- expect: ok prints "contained"
-- What is no Lua is not told by way of its syntax error.
return require "attack"(function()
  local ok, e = pcall(require, "secrets")
  assert(not ok and not tostring(e):find "escaped", e)
  print "contained"
end)
