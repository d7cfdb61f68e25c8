-- expect: error
return require "attack"(function()
  local cycle = {}
  cycle.again = { cycle, cycle }
  error(cycle)
end)
