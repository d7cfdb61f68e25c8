-- expect: ok prints "contained" or cpu or error
-- rule: cpu=200ms
-- Nothing, very often.
return require "attack"(function()
  local text = (""):rep(math.maxinteger)
  print(text == "" and "contained" or "escaped")
end)
