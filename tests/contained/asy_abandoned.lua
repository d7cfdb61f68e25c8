-- expect: ok prints "contained"
-- Coroutines that are never resumed again, with something to close.
return require "attack"(function()
  for _ = 1, 1000 do
    coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() while true do end end })
      sleep(0)
      coroutine.yield()
    end)()
  end
  print "contained"
end)
