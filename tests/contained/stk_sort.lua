-- expect: error "overflow"
return require "attack"(function()
  local function again(a, b)
    table.sort({ 2, 1 }, again)
    return a < b
  end
  table.sort({ 2, 1 }, again)
end)
