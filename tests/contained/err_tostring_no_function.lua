-- expect: error
return require "attack"(function()
  error(setmetatable({}, { __tostring = 7 }))
end)
