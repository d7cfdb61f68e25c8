-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local _ <close> = setmetatable({}, { __close = function() while true do end end })
  return "done"
end)
