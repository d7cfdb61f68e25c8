-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return "a" .. setmetatable({}, { __concat = function() while true do end end })
end)
