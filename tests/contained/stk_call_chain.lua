-- expect: ok prints "contained" or error
return require "attack"(function()
  local f = function() print "contained" end
  for _ = 1, 100000 do f = setmetatable({}, { __call = f }) end
  f()
end)
