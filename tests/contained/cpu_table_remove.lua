-- expect: cpu or error
-- rule: cpu=200ms
return require "attack"(function()
  local list = setmetatable({}, { __len = function() return 1 << 62 end })
  table.remove(list, 1)
end)
