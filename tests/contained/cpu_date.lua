-- expect: cpu or error
-- rule: cpu=100ms
return require "attack"(function()
  local format = ("%c"):rep(400)
  while true do os.date(format) end
end)
