-- expect: error "cannot wait"
return require "attack"(function()
  table.sort({ 3, 2, 1 }, function() olvid.identity_get {} return true end)
end)
