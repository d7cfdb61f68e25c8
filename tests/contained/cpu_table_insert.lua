-- expect: cpu or error
-- rule: cpu=200ms
return require "attack"(function()
  local list = setmetatable({}, { __len = function() return 1 << 62 end })
  table.insert(list, 1, "x")
end)
