-- expect: memory
-- rule: memory=8MiB
-- The same by a forgotten `local`.
return require "attack"(function()
  hoard = {}
  while true do hoard[#hoard + 1] = { #hoard } end
end)
