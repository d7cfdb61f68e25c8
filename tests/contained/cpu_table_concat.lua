-- expect: cpu or memory or error
-- rule: cpu=200ms memory=8MiB
return require "attack"(function()
  local list = setmetatable({}, {
    __len = function() return 1 << 40 end,
    __index = function() return "" end,
  })
  return table.concat(list)
end)
