-- expect: timeout
-- rule: timeout=300ms cpu=1h
-- The wall clock counts for what computes, too.
return require "attack"(function()
  while true do end
end)
