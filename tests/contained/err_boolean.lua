-- expect: error "true"
return require "attack"(function() error(true) end)
