-- expect: error "attempt to"
return require "attack"(function() return 1 // 0 end)
