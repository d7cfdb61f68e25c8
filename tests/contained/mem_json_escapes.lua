-- expect: error "json" or memory or cpu
-- rule: memory=8MiB
-- Each byte is written as six.
return require "attack"(function()
  local list, text = {}, ("\1"):rep(3 << 20)
  for at = 1, 100 do list[at] = text end
  return json.encode(list)
end)
