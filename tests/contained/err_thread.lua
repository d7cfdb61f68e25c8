-- expect: error "thread"
return require "attack"(function() error(coroutine.create(print)) end)
