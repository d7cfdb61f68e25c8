-- expect: load
while true do
  pcall(function() while true do end end)
end
