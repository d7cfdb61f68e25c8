-- expect: error
return require "attack"(function()
  for _, name in pairs { 1, true, {}, print, 0.5 } do
    assert(not pcall(function() return olvid[name] end))
  end
  error "each was refused"
end)
