-- expect: error "no words"
return require "attack"(function()
  log.info(setmetatable({}, { __tostring = function() error "no words" end }))
end)
