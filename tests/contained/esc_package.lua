-- expect: error "attempt to index a nil value (global 'package')"
return require "attack"(function()
  package.loadlib("libc.so.6", "system")
end)
