-- expect: ok prints "contained" or cpu
-- rule: cpu=500ms
-- A text of all the same letter: a search in steps of one would take the product of both lengths.
return require "attack"(function()
  local text = ("a"):rep(2 << 20)
  local found = text:find(("a"):rep(1 << 20) .. "b", 1, true)
  print(found and "escaped" or "contained")
end)
