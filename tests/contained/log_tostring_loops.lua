-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  print(setmetatable({}, { __tostring = function() while true do end end }))
end)
