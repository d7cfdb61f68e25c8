-- expect: error "deep below"
-- Two hundred frames with long names.
return require "attack"(function()
  local functions = {}
  for at = 1, 150 do
    functions[at] = function() return functions[at + 1]() .. "" end
  end
  functions[151] = function() error "deep below" end
  functions[1]()
end)
