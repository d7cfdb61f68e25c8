-- expect: ok prints "contained"
return require "attack"(function()
  assert(type(getmetatable "") ~= "table")
  assert(not pcall(setmetatable, "", {}))
  print "contained"
end)
