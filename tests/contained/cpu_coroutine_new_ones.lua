-- expect: cpu
-- rule: cpu=100ms
-- Each lives for a moment: a limit of each coroutine's own would never be reached.
return require "attack"(function()
  while true do
    coroutine.wrap(function() for _ = 1, 100 do end end)()
  end
end)
