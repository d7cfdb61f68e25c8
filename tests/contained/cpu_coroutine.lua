-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  coroutine.wrap(function() while true do end end)()
end)
