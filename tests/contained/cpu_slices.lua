-- expect: cpu
-- rule: cpu=100ms timeout=5s
-- waits
-- A little between two naps: what a run uses is the sum of its stretches.
return require "attack"(function()
  while true do
    sleep(0)
    for _ = 1, 100000 do end
  end
end)
