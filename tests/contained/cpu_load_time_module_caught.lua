-- expect: load
while true do pcall(require, "lib.loops") end
