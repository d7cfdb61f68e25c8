-- expect: ok prints "contained"
-- rule: output=64KiB
return require "attack"(function()
  for _ = 1, 50 do print(("x"):rep(1000)) end
  print "contained"
end)
