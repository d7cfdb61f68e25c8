-- expect: ok prints "contained"
return require "attack"(function()
  local ok, e = xpcall(error, function() return setmetatable({}, { __tostring = error }) end)
  assert(not ok and type(e) == "table")
  print "contained"
end)
