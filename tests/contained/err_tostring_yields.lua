-- expect: error
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() coroutine.yield "x" return "x" end }))
end)
