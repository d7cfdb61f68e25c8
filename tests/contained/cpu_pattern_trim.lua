-- expect: cpu
-- rule: cpu=100ms
-- The usual way to trim a text, and a stranger's text.
return require "attack"(function()
  local text = "x" .. (" "):rep(256 << 10) .. "x"
  return text:match "^%s*(.-)%s*$"
end)
