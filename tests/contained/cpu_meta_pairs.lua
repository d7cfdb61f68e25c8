-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  for _ in pairs(setmetatable({}, { __pairs = function() while true do end end })) do end
end)
