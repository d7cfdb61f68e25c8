-- expect: error "json.decode"
return require "attack"(function()
  return json.decode(("["):rep(100000))
end)
