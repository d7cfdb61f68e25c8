-- expect: error
return require "attack"(function() assert(nil, nil) end)
