-- expect: error "while closing"
return require "attack"(function()
  local _ <close> = setmetatable({}, { __close = function() error "while closing" end })
  error "before"
end)
