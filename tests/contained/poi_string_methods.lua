-- expect: ok prints "contained"
return require "attack"(function()
  pcall(function() string.rep = function() return "poison" end end)
  pcall(rawset, string, "rep", function() return "poison" end)
  assert(("x"):rep(2) == "xx")
  local meta = getmetatable ""
  if type(meta) == "table" then
    pcall(function() meta.__index = function() return "poison" end end)
  end
  assert(("x"):rep(2) == "xx")
  print "contained"
end)
