-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  pcall(function()
    local text = "x"
    while true do text = text .. text end
  end)
  print "escaped: it went on behind pcall"
end)
