-- expect: cpu or error
-- rule: cpu=200ms
return require "attack"(function()
  table.move({}, 1, 1 << 62, 2)
end)
