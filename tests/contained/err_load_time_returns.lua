-- expect: load
return setmetatable({}, { __call = function() while true do end end, __tostring = function() while true do end end })
