-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local meta = { __eq = function() while true do end end }
  return setmetatable({}, meta) == setmetatable({}, meta)
end)
