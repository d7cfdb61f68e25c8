-- expect: ok prints "contained" or error "overflow"
return require "attack"(function()
  local function again(depth)
    local _ <close> = setmetatable({}, { __close = function() end })
    if depth > 0 then return (again(depth - 1)) end
  end
  again(10000)
  print "contained"
end)
