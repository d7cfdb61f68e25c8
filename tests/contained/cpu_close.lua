-- expect: cpu
-- rule: cpu=100ms
-- What is to be closed is closed when the run ends: that is where the loop is.
return require "attack"(function()
  local _ <close> = setmetatable({}, { __close = function() while true do end end })
  while true do end
end)
