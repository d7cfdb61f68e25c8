-- expect: timeout
-- rule: timeout=300ms cpu=200ms
return require "attack"(function()
  coroutine.wrap(function()
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
    sleep(3600)
  end)()
end)
