-- expect: ok prints "contained"
-- What is said while the script is loaded is bounded like anything else.
for at = 1, 30 do print("while it is loaded " .. at .. "\n\27[31m") end
return require "attack"(function() print "contained" end)
