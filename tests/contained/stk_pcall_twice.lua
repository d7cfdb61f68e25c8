-- expect: cpu
-- rule: cpu=300ms
-- Each level tries twice: two to the two-hundredth.
return require "attack"(function()
  local function again()
    pcall(again)
    pcall(again)
  end
  again()
end)
