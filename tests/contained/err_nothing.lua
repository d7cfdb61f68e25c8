-- expect: error "nil"
return require "attack"(function() error() end)
