-- expect: timeout
-- rule: timeout=300ms
-- Through fifty coroutines up to the host.
return require "attack"(function()
  local function level(depth)
    if depth == 0 then sleep(3600) end
    coroutine.wrap(level)(depth - 1)
  end
  level(50)
end)
