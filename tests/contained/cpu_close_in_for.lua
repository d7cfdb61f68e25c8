-- expect: cpu
-- rule: cpu=100ms
-- The fourth value of a generic `for` is closed.
return require "attack"(function()
  local closing = setmetatable({}, { __close = function() while true do end end })
  for _ in function() return nil end, nil, nil, closing do end
end)
