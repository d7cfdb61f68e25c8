-- expect: error "overflow"
return require "attack"(function()
  local meta = {}
  meta.__close = function() local _ <close> = setmetatable({}, meta) end
  meta.__close()
end)
