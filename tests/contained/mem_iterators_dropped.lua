-- expect: ok or error or timeout or cpu
-- rule: memory=8MiB timeout=1500ms
return require "attack"(function()
  for _ = 1, 100000 do olvid.contact_list {} end
end)
