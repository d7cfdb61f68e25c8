-- expect: ok
return require "attack"(function()
  local deep = {}
  for _ = 1, 100000 do deep = { deep } end
  return deep, table.unpack({}, 1, 1000)
end)
