-- expect: error "attempt to call a nil value (field 'exit')"
return require "attack"(function()
  os.exit(0)
end)
