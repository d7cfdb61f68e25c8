-- expect: error
-- A table that looks like one of the host's own.
return require "attack"(function()
  local loop = setmetatable({}, { __tostring = function() while true do end end })
  error { code = loop, message = loop, command = loop, place = loop }
end)
