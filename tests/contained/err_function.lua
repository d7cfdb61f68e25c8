-- expect: error "function"
return require "attack"(function() error(print) end)
