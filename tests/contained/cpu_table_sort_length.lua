-- expect: error or cpu or memory
-- rule: cpu=200ms
return require "attack"(function()
  local list = setmetatable({}, {
    __len = function() return (1 << 31) - 2 end,
    __index = function() return 1 end,
    __newindex = function() end,
  })
  table.sort(list)
end)
