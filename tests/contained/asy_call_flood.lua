-- expect: timeout or cpu
-- rule: timeout=500ms
return require "attack"(function()
  while true do olvid.identity_get {} end
end)
