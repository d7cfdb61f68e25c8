-- expect: ok or error or timeout or cpu or memory
-- rule: memory=8MiB timeout=1500ms
-- Lists that are begun and never read to their ends.
return require "attack"(function()
  local kept = {}
  for at = 1, 100000 do kept[at] = { olvid.contact_list {} } end
end)
