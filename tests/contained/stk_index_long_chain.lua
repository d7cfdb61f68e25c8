-- expect: ok prints "contained" or error "chain too long"
return require "attack"(function()
  local object = { x = 1 }
  for _ = 1, 100000 do object = setmetatable({}, { __index = object }) end
  pcall(function() return object.x end)
  print "contained"
end)
