-- expect: error "attempt to call a nil value (field 'execute')"
return require "attack"(function()
  os.execute "touch escaped"
end)
