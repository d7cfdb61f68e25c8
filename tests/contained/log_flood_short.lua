-- expect: output or cpu
-- rule: cpu=2s output=4KiB log_rate=0
return require "attack"(function()
  while true do print "x" end
end)
