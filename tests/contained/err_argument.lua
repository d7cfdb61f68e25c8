-- expect: error "bad argument #1"
return require "attack"(function() return string.rep() end)
