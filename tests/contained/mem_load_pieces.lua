-- expect: ok prints "contained" or memory or cpu
-- rule: memory=8MiB
return require "attack"(function()
  local piece = ("a = 1 "):rep(100000)
  local chunk = load(function() return piece end)
  print(chunk and "escaped" or "contained")
end)
