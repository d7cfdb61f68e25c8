-- expect: cpu
-- rule: cpu=100ms
-- Where a C function forbids yielding, and something is to be closed.
return require "attack"(function()
  local list = { 3, 2, 1 }
  table.sort(list, function()
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
    while true do end
  end)
end)
