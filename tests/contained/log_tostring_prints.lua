-- expect: error "overflow" or output
return require "attack"(function()
  print(setmetatable({}, { __tostring = function(self) print(self) return "x" end }))
end)
