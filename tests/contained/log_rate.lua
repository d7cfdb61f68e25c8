-- expect: ok tells lines_left_out
-- rule: log_rate=10 output=1MiB
-- More lines than the rule may write: they are left out, and counted. The run goes on.
return require "attack"(function()
  for at = 1, 1000 do print("line " .. at) end
end, function() sleep(1) end)
