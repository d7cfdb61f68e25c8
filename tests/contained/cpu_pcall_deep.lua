-- expect: cpu
-- rule: cpu=100ms
-- A hundred levels, each of which catches what comes from below and loops on.
return require "attack"(function()
  local function level(depth)
    if depth > 0 then pcall(level, depth - 1) end
    while true do end
  end
  level(100)
end)
