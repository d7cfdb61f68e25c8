-- expect: ok prints "contained" or cpu or memory
-- rule: cpu=200ms memory=8MiB
-- A text without an end.
return require "attack"(function()
  local chunk = load(function() return "a = 1 " end)
  print(chunk and "escaped" or "contained")
end)
