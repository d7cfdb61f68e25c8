-- expect: error
-- The host's own frames are not the script's to see.
return require "attack"(function()
  olvid.message_send(setmetatable({}, { __index = error }), 1, 2, 3)
end)
