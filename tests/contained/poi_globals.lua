-- expect: ok prints "contained"
return require "attack"(function()
  for name in pairs(_G) do
    if name ~= "_G" and name ~= "print" then _G[name] = nil end
  end
  print "contained"
end)
