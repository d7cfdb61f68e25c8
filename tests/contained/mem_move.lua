-- expect: memory or cpu or error
-- rule: memory=8MiB
return require "attack"(function()
  local source = setmetatable({}, { __index = function() return "x" end })
  return table.move(source, 1, 1 << 40, 1, {})
end)
