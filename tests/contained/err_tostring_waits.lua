-- expect: error
-- Nothing can wait there.
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() sleep(60) return "x" end }))
end)
