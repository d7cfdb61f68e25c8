-- expect: timeout
-- rule: timeout=300ms cpu=1h
return require "attack"(function()
  while true do pcall(function() while true do end end) end
end)
