-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local text = ("x"):rep(100000)
  while true do text:gsub("x", "y") end
end)
