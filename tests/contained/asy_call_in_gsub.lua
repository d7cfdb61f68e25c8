-- expect: error "cannot wait" or timeout
-- rule: timeout=300ms
-- Whether a callback can wait is the library's affair: it is told, or it waits.
return require "attack"(function()
  return ("abc"):gsub(".", function() sleep(3600) end)
end)
