-- expect: ok prints "contained" or output
-- rule: memory=32MiB
-- Cut between characters, though each takes four bytes.
return require "attack"(function()
  print("contained " .. ("\u{1f600}"):rep(1 << 20))
end)
