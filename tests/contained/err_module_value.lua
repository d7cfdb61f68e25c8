-- expect: error
return require "attack"(function() require "lib.fails_oddly" end)
