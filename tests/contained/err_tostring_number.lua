-- expect: error
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() return 7 end }))
end)
