-- expect: ok prints "contained" or error "overflow"
-- Each closes another one when it is closed.
return require "attack"(function()
  local before
  for _ = 1, 1000 do
    local inner = before
    before = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() if inner then coroutine.close(inner) end end })
      coroutine.yield()
    end)
    coroutine.resume(before)
  end
  coroutine.close(before)
  print "contained"
end)
