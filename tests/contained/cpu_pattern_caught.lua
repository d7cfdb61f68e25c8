-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local text = ("a"):rep(3000)
  while true do pcall(string.find, text, ".-.-.-b") end
end)
