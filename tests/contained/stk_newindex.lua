-- expect: error "overflow"
return require "attack"(function()
  local object = setmetatable({}, { __newindex = function(self, key, value) self[key .. "x"] = value end })
  object.x = 1
end)
