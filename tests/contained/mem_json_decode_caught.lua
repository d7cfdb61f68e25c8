-- expect: memory or cpu
-- rule: memory=8MiB cpu=500ms
return require "attack"(function()
  local text = "[" .. ("[],"):rep(300000) .. "0]"
  while true do pcall(json.decode, text) end
end)
