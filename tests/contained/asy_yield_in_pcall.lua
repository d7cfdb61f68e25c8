-- expect: ok prints "contained"
return require "attack"(function()
  local co = coroutine.wrap(function()
    local ok, value = pcall(function() return coroutine.yield "out" end)
    assert(ok and value == "in")
    local handled = select(2, xpcall(function() coroutine.yield "again" error "x" end, function() return "handled" end))
    return handled
  end)
  assert(co() == "out" and co "in" == "again" and co() == "handled")
  print "contained"
end)
