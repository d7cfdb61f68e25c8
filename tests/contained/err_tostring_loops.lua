-- expect: cpu
-- rule: cpu=100ms
-- The host asks what the error says.
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() while true do end end }))
end)
