-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local function again() return again() end
  again()
end)
