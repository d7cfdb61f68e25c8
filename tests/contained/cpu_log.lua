-- expect: cpu or output
-- rule: cpu=100ms
return require "attack"(function()
  while true do log.debug "" end
end)
