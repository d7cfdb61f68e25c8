-- expect: memory or error "json"
-- rule: memory=8MiB
-- Three bytes of text make a table.
return require "attack"(function()
  return json.decode("[" .. ("[],"):rep(1 << 20) .. "0]")
end)
