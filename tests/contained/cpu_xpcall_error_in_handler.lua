-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  while true do
    xpcall(error, function(e) error(e) end)
  end
end)
