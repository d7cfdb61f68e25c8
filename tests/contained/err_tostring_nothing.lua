-- expect: error
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() end }))
end)
