-- expect: timeout or cpu
-- rule: timeout=300ms
return require "attack"(function()
  while true do sleep(0) end
end)
