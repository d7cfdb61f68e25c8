-- expect: ok prints "contained" prints "later"
-- And from the next run.
local first
return require "attack"(function()
  first = coroutine.running()
  print "contained"
end, function()
  local ok = pcall(coroutine.resume, first, "escaped")
  pcall(coroutine.close, first)
  assert(ok ~= nil)
  print "later"
end)
