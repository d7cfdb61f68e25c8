-- expect: error "from within"
return require "attack"(function()
  coroutine.wrap(function() coroutine.wrap(function() error "from within" end)() end)()
end)
