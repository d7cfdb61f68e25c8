-- expect: error "overflow"
return require "attack"(function()
  local object = setmetatable({}, { __index = function(self, key) return self[key .. "x"] end })
  return object.x
end)
