-- A module that is never there.
while true do
  pcall(function() while true do end end)
end
