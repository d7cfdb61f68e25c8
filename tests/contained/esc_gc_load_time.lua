-- expect: load "__gc"
setmetatable({}, { __gc = function() while true do end end })
return function() end
