-- expect: error
return require "attack"(function()
  local object = {}
  setmetatable(object, { __call = object })
  object()
end)
