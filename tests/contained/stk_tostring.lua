-- expect: error "overflow"
return require "attack"(function()
  local object = setmetatable({}, { __tostring = function(self) return "x" .. tostring(self) end })
  return tostring(object)
end)
