-- expect: cpu
-- rule: cpu=100ms timeout=30s
-- waits
-- A little after each element and each answer: it is the sum that counts.
return require "attack"(function()
  while true do
    for _ in olvid.contact_list {} do
      for _ = 1, 100000 do end
    end
  end
end)
