-- expect: error "assertion failed!"
return require "attack"(function() assert(false) end)
