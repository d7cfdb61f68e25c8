-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local text = "[" .. ("[],"):rep(20000)
  while true do pcall(json.decode, text) end
end)
