-- expect: error "json.decode"
return require "attack"(function()
  return json.decode(('{"a":'):rep(10000) .. "1" .. ("}"):rep(10000))
end)
