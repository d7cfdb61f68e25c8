-- expect: error "attempt to perform arithmetic"
return require "attack"(function(notification) return notification + 1 end)
