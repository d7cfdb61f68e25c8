-- expect: error
-- A chunk's name is no way to be somebody else.
return require "attack"(function()
  load("error 'from elsewhere'", "=[olvid]")()
end)
