-- expect: error "outside a coroutine"
return require "attack"(function()
  coroutine.yield(1, 2, 3)
end)
