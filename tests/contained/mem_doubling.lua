-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local text = "x"
  while true do text = text .. text end
end)
