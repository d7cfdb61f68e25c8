-- expect: ok prints "contained"
-- The innermost fails, all others return.
return require "attack"(function()
  local function again() return pcall(again) end
  again()
  print "contained"
end)
