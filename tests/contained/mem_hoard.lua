-- expect: memory
-- rule: memory=8MiB
-- A list of the script's own that only grows: what is in it outlives the run.
local hoard = {}
return require "attack"(function()
  while true do hoard[#hoard + 1] = ("x"):rep(1000) .. #hoard end
end)
