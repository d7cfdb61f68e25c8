-- expect: error "in its own words"
return require "attack"(function()
  error(setmetatable({}, { __tostring = function() return "in its own words" end }))
end)
