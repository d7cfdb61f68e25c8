-- expect: ok prints "contained" or error "cannot wait"
-- Lua lets most of these wait; where it does not, that is told.
return require "attack"(function()
  local meta = {
    __index = function() return olvid.identity_get {}.id end,
    __add = function() return olvid.identity_get {}.id end,
    __len = function() return olvid.identity_get {}.id end,
    __eq = function() return olvid.identity_get {}.id == 1 end,
    __concat = function() return "x" .. olvid.identity_get {}.id end,
  }
  local object = setmetatable({}, meta)
  local _ = object.x + (object + object) + #object
  _ = object == setmetatable({}, meta)
  _ = object .. "x"
  print "contained"
end)
