-- expect: cpu prints "contained"
-- rule: cpu=100ms
-- The coroutine that was interrupted is kept, and resumed by the next run: it is over.
local left
return require "attack"(function()
  left = coroutine.create(function()
    while true do end
  end)
  coroutine.resume(left)
  print "escaped: it went on behind resume"
end, function()
  local ok = coroutine.resume(left)
  print(ok and "escaped: a run that had ended went on" or "contained")
end)
