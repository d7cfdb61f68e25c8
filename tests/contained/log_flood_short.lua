-- expect: output or cpu
-- rule: cpu=2s
return require "attack"(function()
  while true do print "x" end
end)
