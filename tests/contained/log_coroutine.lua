-- expect: ok prints "contained"
return require "attack"(function()
  coroutine.wrap(function() coroutine.wrap(print) "contained" end)()
end)
