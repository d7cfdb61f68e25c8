-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  local text = utf8.char(table.unpack(setmetatable({}, { __index = function() return 0x10FFFF end }), 1, 200))
  while true do text = text .. text end
end)
