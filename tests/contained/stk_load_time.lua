-- expect: load "overflow"
-- rule: memory=64MiB cpu=2s
local function again() return 1 + again() end
again()
