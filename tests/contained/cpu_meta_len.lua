-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  return table.concat(setmetatable({}, { __len = function() while true do end end }))
end)
