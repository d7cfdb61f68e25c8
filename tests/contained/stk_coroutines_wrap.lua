-- expect: error "overflow" or error "stack" or memory
-- rule: memory=16MiB
return require "attack"(function()
  local function again() return 1 + coroutine.wrap(again)() end
  again()
end)
