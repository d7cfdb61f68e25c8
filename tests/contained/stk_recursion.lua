-- expect: error "stack overflow" or memory
return require "attack"(function()
  local function again() return 1 + again() end
  again()
end)
