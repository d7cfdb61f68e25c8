-- expect: ok prints "contained" or cpu
-- rule: cpu=200ms
-- Texts for which a compiler takes long.
return require "attack"(function()
  local text = ("x = "):rep(1) .. ("not "):rep(15000) .. "x"
  load(text)
  load("return " .. ("-"):rep(60) .. ("1 .. "):rep(12000) .. "1")
  load(("goto a "):rep(8000) .. "::a::")
  print "contained"
end)
