-- expect: error
return require "attack"(function() assert(nil, setmetatable({}, { __tostring = error })) end)
