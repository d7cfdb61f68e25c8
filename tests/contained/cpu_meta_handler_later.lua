-- expect: load or ok
-- handler: attack
-- As above, but not at the first time.
local times = 0
local handler = require "attack"(function() end)
return setmetatable({}, {
  __index = function()
    times = times + 1
    while times > 1 do end
    return handler
  end,
})
