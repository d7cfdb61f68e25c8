-- expect: memory or error "json"
-- rule: memory=8MiB
return require "attack"(function()
  return json.decode("[" .. ('{"a":{}},'):rep(300000) .. "0]")
end)
