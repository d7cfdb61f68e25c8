-- expect: cpu prints "contained"
-- rule: cpu=100ms
-- Closing what was interrupted must not run its loop.
local left
return require "attack"(function()
  left = coroutine.create(function()
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
    while true do end
  end)
  coroutine.resume(left)
end, function()
  pcall(coroutine.close, left)
  left = nil
  print "contained"
end)
