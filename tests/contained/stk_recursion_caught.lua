-- expect: cpu or memory
-- rule: cpu=300ms
return require "attack"(function()
  local function again() return 1 + again() end
  while true do pcall(again) end
end)
