-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local object = setmetatable({}, { __index = function() while true do end end })
  while true do pcall(function() return object.field end) end
end)
