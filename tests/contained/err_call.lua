-- expect: error "attempt to call a nil value"
return require "attack"(function() nowhere() end)
