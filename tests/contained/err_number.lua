-- expect: error "1.5"
return require "attack"(function() error(1.5) end)
