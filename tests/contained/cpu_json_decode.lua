-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local text = "[" .. ("[],"):rep(10000) .. "0]"
  while true do json.decode(text) end
end)
