-- expect: load
while true do pcall(sleep, 3600) end
