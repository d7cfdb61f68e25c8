-- expect: ok prints "contained" prints "later"
-- One run begins a coroutine, the next goes on with it: a wait is the wait of who resumes.
local shared
return require "attack"(function()
  shared = coroutine.wrap(function()
    sleep(0)
    coroutine.yield "first"
    sleep(0)
    return "second"
  end)
  assert(shared() == "first")
  print "contained"
end, function()
  assert(shared() == "second")
  print "later"
end)
