-- expect: error "first"
return require "attack"(function()
  error("first\nsecond\r\nthird\27[31m\u{202e}\u{2028}", 0)
end)
