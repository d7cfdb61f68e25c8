-- expect: ok prints "contained" or memory
-- rule: memory=8MiB
return require "attack"(function()
  local chunk = load("return {" .. ("'x',"):rep(1 << 20) .. "}")
  print(chunk and "escaped" or "contained")
end)
