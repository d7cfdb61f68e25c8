-- expect: error "stack overflow" or memory
return require "attack"(function()
  local function again(...) return again(..., 1, 2, 3) + 1 end
  again()
end)
