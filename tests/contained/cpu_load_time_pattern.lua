-- expect: load
local _ = ("a"):rep(3000):find ".-.-.-b"
return function() end
