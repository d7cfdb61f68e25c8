-- expect: error "other.lua:99"
return require "attack"(function()
  error("other.lua:99: not me", 0)
end)
