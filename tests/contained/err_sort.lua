-- expect: error "compare"
return require "attack"(function() table.sort { 1, "x", {}, print } end)
