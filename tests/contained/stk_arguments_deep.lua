-- expect: error "olvid.message_list"
return require "attack"(function()
  local deep = {}
  for _ = 1, 100000 do deep = { filter = deep } end
  for _ in olvid.message_list(deep) do end
end)
