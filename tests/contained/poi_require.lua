-- expect: ok prints "contained"
-- A module is shared within its script, and nowhere else.
return require "attack"(function()
  local shared = require "lib.shared"
  shared.poison = true
  assert(require("lib.shared").poison)
  print "contained"
end)
