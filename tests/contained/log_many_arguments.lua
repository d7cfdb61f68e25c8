-- expect: ok prints "contained" or output or error
return require "attack"(function()
  print(table.unpack({}, 1, 100000))
  print "contained"
end)
