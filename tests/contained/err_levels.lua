-- expect: error "far away"
return require "attack"(function()
  pcall(error, "x", math.maxinteger)
  pcall(error, "x", math.mininteger)
  error("far away", 1000000)
end)
