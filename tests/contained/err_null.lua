-- expect: error
return require "attack"(function() error(json.null) end)
