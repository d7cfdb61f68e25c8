-- expect: cpu
-- rule: cpu=100ms
-- An error is caught each time; the end of a run is none.
return require "attack"(function()
  while true do
    pcall(function() while true do end end)
  end
end)
