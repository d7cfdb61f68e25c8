-- expect: ok prints "contained"
-- What is compiled sees the globals of scripts, whatever it is given.
return require "attack"(function()
  assert(load "return io, debug, package"() == nil)
  assert(load "return _ENV"() == _G)
  assert(load("return x", "=x", "t", { x = 1 })() == 1)
  local ok, environment = pcall(load("return _ENV", "=x", "t", nil))
  assert(not ok or environment == nil or environment == _G)
  print "contained"
end)
