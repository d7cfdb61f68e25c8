-- expect: error "cannot wait"
return require "attack"(function()
  return tostring(setmetatable({}, { __tostring = function() return olvid.identity_get {}.display_name end }))
end)
