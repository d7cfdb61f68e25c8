-- expect: timeout
-- rule: timeout=300ms
-- What is to be closed when the time is over waits itself.
return require "attack"(function()
  local _ <close> = setmetatable({}, { __close = function() sleep(3600) end })
  sleep(3600)
end)
