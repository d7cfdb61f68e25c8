-- expect: load "overflow" or load "uses more than"
-- rule: memory=64MiB cpu=2s
local function again() return 1 + again() end
again()
