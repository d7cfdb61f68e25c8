-- expect: memory or error or cpu
-- rule: memory=8MiB
return require "attack"(function()
  return string.pack(("!16 Xi16 i16 "):rep(1 << 18), 1)
end)
