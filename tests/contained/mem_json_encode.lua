-- expect: memory or error "json"
-- rule: memory=8MiB
return require "attack"(function()
  local list, text = {}, ("x"):rep(1 << 20)
  for at = 1, 500 do list[at] = text end
  return json.encode(list)
end)
