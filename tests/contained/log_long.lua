-- expect: ok prints "contained" or output
-- rule: memory=32MiB
-- Ten megabytes in one line.
return require "attack"(function()
  print("contained " .. ("x"):rep(10 << 20))
end)
