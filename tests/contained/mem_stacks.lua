-- expect: memory
-- rule: memory=8MiB
-- Each coroutine has a deep stack.
return require "attack"(function()
  local kept = {}
  local function deep(levels)
    if levels == 0 then coroutine.yield() end
    return 1 + deep(levels - 1)
  end
  for at = 1, math.huge do
    kept[at] = coroutine.wrap(deep)
    kept[at](1000)
  end
end)
