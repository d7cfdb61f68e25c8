-- expect: error "loop"
return require "attack"(function()
  local object = {}
  setmetatable(object, { __index = object })
  return object.x
end)
