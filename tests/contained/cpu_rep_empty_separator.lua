-- expect: ok prints "contained" or cpu or error
-- rule: cpu=200ms
return require "attack"(function()
  local text = (""):rep(1 << 40, "")
  print(text == "" and "contained" or "escaped")
end)
