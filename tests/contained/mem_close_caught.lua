-- expect: memory or cpu
-- rule: memory=8MiB cpu=300ms
-- What is closed when memory is full fills it again.
return require "attack"(function()
  local function fill()
    local kept = {}
    while true do kept[#kept + 1] = {} end
  end
  local _ <close> = setmetatable({}, { __close = function() while true do pcall(fill) end end })
  fill()
end)
