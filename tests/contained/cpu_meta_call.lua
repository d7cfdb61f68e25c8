-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  pcall(setmetatable({}, { __call = function() while true do end end }))
end)
