-- expect: error "cannot wait"
return require "attack"(function()
  return ("abc"):gsub(".", function() sleep(3600) end)
end)
