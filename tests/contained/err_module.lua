-- expect: error "in the module"
return require "attack"(function() require "lib.fails" end)
