-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  local function loop()
    while true do pcall(function() while true do end end) end
  end
  error(setmetatable({}, { __tostring = loop }))
end)
