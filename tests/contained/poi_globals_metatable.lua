-- expect: ok prints "contained"
return require "attack"(function()
  pcall(setmetatable, _G, {
    __index = function() while true do end end,
    __newindex = function() while true do end end,
  })
  print "contained"
end)
