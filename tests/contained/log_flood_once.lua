-- expect: output
-- rule: output=1KiB
-- The limit is met in the middle of a run; what stands behind it is not done.
return require "attack"(function()
  local discussion = require "lib.discussion"()
  for _ = 1, 20 do pcall(print, ("x"):rep(100)) end
  olvid.message_send { discussion_id = discussion, body = "escaped" }
end)
