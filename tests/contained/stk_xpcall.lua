-- expect: ok prints "contained" or cpu
-- rule: cpu=500ms
return require "attack"(function()
  local function again() return xpcall(again, again) end
  pcall(again)
  print "contained"
end)
