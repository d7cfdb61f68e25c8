-- expect: ok prints "contained"
-- What is no function marks an object for finalization as well.
return require "attack"(function()
  for _, value in ipairs { true, 1, "x", {} } do
    local meta = { __gc = value }
    assert(not pcall(setmetatable, {}, meta), tostring(value))
  end
  print "contained"
end)
