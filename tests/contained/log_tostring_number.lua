-- expect: error "'__tostring' must return a string"
return require "attack"(function()
  print(setmetatable({}, { __tostring = function() return {} end }))
end)
