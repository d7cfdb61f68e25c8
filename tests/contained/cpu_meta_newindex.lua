-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local object = setmetatable({}, { __newindex = function() while true do end end })
  object.field = 1
end)
