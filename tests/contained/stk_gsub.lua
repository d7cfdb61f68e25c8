-- expect: error "overflow"
return require "attack"(function()
  local function again(text) return (text:gsub(".", again)) end
  return again "x"
end)
