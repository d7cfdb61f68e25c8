-- expect: error "attempt to call a nil value (field 'getenv')"
return require "attack"(function()
  print("escaped " .. os.getenv "PATH")
end)
