-- expect: error "nil"
return require "attack"(function() error(nil) end)
