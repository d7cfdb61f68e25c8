-- expect: ok prints "contained"
return require "attack"(function()
  for _, name in ipairs { "attack\0.x", "\0", "attack\n", "attack ", "at%tack", "\xff", ("x"):rep(100000) } do
    assert(not pcall(require, name), name)
  end
  print "contained"
end)
