-- expect: memory or error
-- rule: memory=8MiB
return require "attack"(function()
  local text = ("x"):rep(1 << 20)
  return ("%s%s%s%s%s%s%s%s%s%s"):format(text, text, text, text, text, text, text, text, text, text)
end)
