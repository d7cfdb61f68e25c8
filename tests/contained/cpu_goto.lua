-- expect: cpu
-- rule: cpu=100ms
return require "attack"(function()
  ::again::
  goto again
end)
