-- expect: error or cpu
return require "attack"(function()
  local object = {}
  setmetatable(object, { __call = object })
  object()
end)
