-- expect: error "nested deeper"
return require "attack"(function()
  local deep = {}
  for _ = 1, 100000 do deep = { deep } end
  return json.encode(deep)
end)
