-- expect: error
return require "attack"(function() error(0 / 0) end)
