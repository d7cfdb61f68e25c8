-- expect: error "attempt to call a nil value"
return require "attack"(function()
  return load(string.dump(function() return 1 end))
end)
