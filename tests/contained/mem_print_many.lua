-- expect: ok prints "contained" or output or memory or error
-- rule: memory=8MiB
return require "attack"(function()
  local text = ("x"):rep(1 << 20)
  print(text, text, text, text, text, text, text, text, text, text, text, text)
  print "contained"
end)
