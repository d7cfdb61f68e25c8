-- expect: timeout
-- rule: timeout=300ms
return require "attack"(function()
  while true do pcall(sleep, 3600) end
end)
