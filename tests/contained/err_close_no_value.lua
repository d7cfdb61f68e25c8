-- expect: error "non-closable"
return require "attack"(function()
  local _ <close> = {}
end)
