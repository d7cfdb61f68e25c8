-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local meta = { __lt = function() while true do end end }
  table.sort { setmetatable({}, meta), setmetatable({}, meta) }
end)
