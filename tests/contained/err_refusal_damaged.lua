-- expect: error
-- A refusal whose fields the script has replaced.
return require "attack"(function()
  local _, e = pcall(olvid.message_send, { nonsense = 1 })
  local loop = setmetatable({}, { __tostring = error, __concat = error })
  e.code, e.command, e.message, e.place = loop, loop, loop, loop
  error(e)
end)
