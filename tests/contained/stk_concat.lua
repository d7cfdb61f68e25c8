-- expect: error "overflow"
return require "attack"(function()
  local object = setmetatable({}, { __concat = function(a, b) return a .. b end })
  return object .. object
end)
