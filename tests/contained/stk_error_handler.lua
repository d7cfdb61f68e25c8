-- expect: ok prints "contained"
return require "attack"(function()
  local function handler(e) error(e) end
  xpcall(error, handler, "x")
  print "contained"
end)
