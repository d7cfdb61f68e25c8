-- expect: timeout
-- rule: timeout=300ms
return require "attack"(function()
  while true do sleep(0.01) end
end)
