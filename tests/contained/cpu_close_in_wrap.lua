-- expect: cpu
-- rule: cpu=100ms
-- `wrap` closes a coroutine that fails.
return require "attack"(function()
  while true do
    pcall(coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() while true do end end })
      error "close me"
    end))
  end
end)
