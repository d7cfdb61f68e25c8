-- expect: ok prints "contained" or output
-- rule: memory=32MiB
-- Each byte is written as several.
return require "attack"(function()
  print("contained " .. ("\27"):rep(1 << 20))
end)
