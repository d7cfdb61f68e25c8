-- expect: error "attempt to index a nil value (global 'io')"
return require "attack"(function()
  return io.open("/etc/passwd"):read "a"
end)
