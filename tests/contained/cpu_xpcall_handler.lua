-- expect: cpu
-- rule: cpu=100ms
-- The message handler runs where the error was raised.
return require "attack"(function()
  xpcall(error, function() while true do end end)
end)
