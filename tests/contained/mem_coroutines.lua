-- expect: memory
-- rule: memory=8MiB
return require "attack"(function()
  local kept = {}
  for at = 1, 1000000 do
    kept[at] = coroutine.create(function() coroutine.yield(kept) end)
    coroutine.resume(kept[at])
  end
end)
