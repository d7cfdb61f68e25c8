-- expect: ok prints "contained" or error "pattern too complex"
return require "attack"(function()
  local text = ("x"):rep(300000)
  text:find(("x?"):rep(300) .. "y")
  text:find "^.-b"
  print "contained"
end)
