-- expect: cpu or error
-- rule: cpu=200ms
return require "attack"(function()
  local target = setmetatable({}, { __newindex = function() end })
  table.move({}, 1, 1 << 62, 1, target)
end)
