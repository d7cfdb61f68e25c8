-- expect: error "cannot wait"
-- rule: timeout=300ms
-- A callback of the library cannot wait, and that is told.
return require "attack"(function()
  return ("abc"):gsub(".", function() sleep(3600) end)
end)
