-- expect: error "attempt to index a nil value (global 'debug')"
return require "attack"(function()
  debug.sethook()
end)
