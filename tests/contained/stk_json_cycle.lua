-- expect: error "nested deeper"
return require "attack"(function()
  local cycle = {}
  cycle.again = cycle
  return json.encode(cycle)
end)
