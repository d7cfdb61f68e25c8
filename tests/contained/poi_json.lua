-- expect: ok prints "contained"
return require "attack"(function()
  local empty = json.array {}
  pcall(setmetatable, empty, { __index = { "poison" } })
  pcall(function() json.null = "poison" end)
  pcall(rawset, json, "null", "poison")
  local list = json.decode "[]"
  assert(#list == 0 and json.encode(list) == "[]" and json.null ~= "poison")
  print "contained"
end)
