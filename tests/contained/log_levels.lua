-- expect: ok prints "contained"
-- There are four levels; a script has no way to name another one.
return require "attack"(function()
  for _, level in pairs { "fatal", "trace", "INFO", "error\n", 1, true } do
    assert(not pcall(function() log[level] "x" end), level)
  end
  print "contained"
end)
