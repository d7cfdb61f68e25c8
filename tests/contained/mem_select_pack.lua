-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  local kept = {}
  for at = 1, math.huge do kept[at] = table.pack(table.unpack({}, 1, 10000)) end
end)
