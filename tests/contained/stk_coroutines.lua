-- expect: ok prints "contained"
return require "attack"(function()
  local function again() return coroutine.resume(coroutine.create(again)) end
  again()
  print "contained"
end)
