-- expect: cpu
-- rule: cpu=100ms
-- The loop is in the innermost of many coroutines; all of them go on when it ends.
return require "attack"(function()
  local function level(depth)
    if depth > 0 then coroutine.resume(coroutine.create(level), depth - 1) end
    while true do end
  end
  level(100)
end)
