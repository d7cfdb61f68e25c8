-- expect: error "nil value"
return require "attack"(function()
  _ENV = nil
  print "escaped"
end)
