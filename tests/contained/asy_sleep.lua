-- expect: timeout
-- rule: timeout=300ms
return require "attack"(function()
  sleep(3600)
end)
