-- expect: load
-- handler: attack
-- The host itself looks for the handler in what the script returns.
return setmetatable({}, { __index = function() while true do end end })
