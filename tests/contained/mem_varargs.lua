-- expect: memory or error "stack overflow"
-- rule: memory=8MiB
return require "attack"(function()
  local function more(...) return more(1, ...) + 1 end
  more()
end)
