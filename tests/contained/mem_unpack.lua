-- expect: memory or error "too many results to unpack"
-- rule: memory=8MiB
return require "attack"(function()
  return { table.unpack({}, 1, 900000) }
end)
