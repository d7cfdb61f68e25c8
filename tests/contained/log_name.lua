-- expect: ok prints "contained"
return require "attack"(function()
  print("contained", setmetatable({}, { __name = "a\nb\27[31m" .. ("x"):rep(100000) }))
end)
