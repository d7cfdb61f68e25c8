-- expect: error
return require "attack"(function()
  local deep = {}
  for _ = 1, 100000 do deep = { deep } end
  error(deep)
end)
