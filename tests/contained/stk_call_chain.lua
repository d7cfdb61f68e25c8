-- expect: ok prints "contained" or error or cpu
return require "attack"(function()
  local f = function() print "contained" end
  for _ = 1, 100000 do f = setmetatable({}, { __call = f }) end
  f()
end)
