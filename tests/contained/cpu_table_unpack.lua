-- expect: error "too many results to unpack"
return require "attack"(function()
  return table.unpack({}, 1, 1 << 40)
end)
