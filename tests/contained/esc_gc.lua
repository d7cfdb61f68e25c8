-- expect: error "__gc"
-- A finalizer runs where nothing can interrupt it.
return require "attack"(function()
  setmetatable({}, { __gc = function() while true do end end })
end)
