-- expect: error "requires itself"
return require "attack"(function()
  require "lib.itself"
end)
