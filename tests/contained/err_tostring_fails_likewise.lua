-- expect: error
return require "attack"(function()
  local meta = {}
  meta.__tostring = function() error(setmetatable({}, meta)) end
  error(setmetatable({}, meta))
end)
