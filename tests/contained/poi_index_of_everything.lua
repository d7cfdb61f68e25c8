-- expect: ok prints "contained"
-- Numbers, booleans, functions and nil have no metatable, and get none.
return require "attack"(function()
  for _, value in pairs { 1, true, print, coroutine.create(print) } do
    assert(not pcall(setmetatable, value, {}))
    assert(getmetatable(value) == nil or getmetatable(value) == false)
  end
  print "contained"
end)
