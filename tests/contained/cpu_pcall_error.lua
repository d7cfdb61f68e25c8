-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  while true do pcall(error) end
end)
