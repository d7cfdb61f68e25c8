-- expect: error
-- What the host reads of an error value is read raw.
return require "attack"(function()
  error(setmetatable({}, { __index = function() while true do end end, __pairs = function() while true do end end }))
end)
