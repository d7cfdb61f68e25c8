-- expect: timeout
-- rule: timeout=300ms
return require "attack"(function()
  local ok = pcall(function() sleep(3600) error "never" end)
  error(ok and "escaped" or "escaped")
end)
