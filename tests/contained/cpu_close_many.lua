-- expect: cpu
-- rule: cpu=100ms
-- A hundred levels, each of which has something to close that loops.
return require "attack"(function()
  local function level(depth)
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
    if depth > 0 then level(depth - 1) end
    while true do end
  end
  level(100)
end)
