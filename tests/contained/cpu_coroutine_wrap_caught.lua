-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  while true do
    pcall(coroutine.wrap(function() while true do end end))
  end
end)
