-- expect: ok prints "contained"
return require "attack"(function()
  for _, value in pairs {
    -1, 0 / 0, 1 / 0, -1 / 0, 1e300, math.maxinteger, math.mininteger, "1", "x", true, {}, print, json.null,
  } do
    assert(not pcall(sleep, value), tostring(value))
  end
  assert(not pcall(sleep))
  print "contained"
end)
