-- expect: error "x"
-- A chunk's name is the script's word: it passes for no other script.
return require "attack"(function()
  load("error 'x'", "@witness.lua")()
end)
