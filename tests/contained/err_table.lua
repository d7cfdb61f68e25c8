-- expect: error "42"
return require "attack"(function() error { code = 42 } end)
