-- expect: ok prints "contained"
-- What passes through coroutines on its way to the host is the host's.
return require "attack"(function()
  local function look(...)
    for at = 1, select("#", ...) do
      local value = select(at, ...)
      assert(type(value) ~= "userdata", "the host's")
      print(tostring(value))
    end
  end
  local co = coroutine.create(function()
    sleep(0)
    olvid.identity_get {}
    return "done"
  end)
  look(coroutine.resume(co))
  look(coroutine.running())
  print "contained"
end)
