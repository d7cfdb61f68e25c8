-- expect: error
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() error "and again" end }))
end)
