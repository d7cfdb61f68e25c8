-- expect: memory or cpu
-- rule: memory=8MiB cpu=300ms
return require "attack"(function()
  while true do
    coroutine.resume(coroutine.create(function()
      local text = "x"
      while true do text = text .. text end
    end))
  end
end)
