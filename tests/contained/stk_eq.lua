-- expect: error "overflow"
return require "attack"(function()
  local meta = {}
  meta.__eq = function(a, b) return a == b end
  return setmetatable({}, meta) == setmetatable({}, meta)
end)
