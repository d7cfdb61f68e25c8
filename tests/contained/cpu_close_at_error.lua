-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  while true do
    pcall(function()
      local _ <close> = setmetatable({}, { __close = function() while true do end end })
      error "close me"
    end)
  end
end)
