-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local text = ("x"):rep(1000)
  local function again() return (text:gsub("x", again)) end
  while true do pcall(again) end
end)
