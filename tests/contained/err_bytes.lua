-- expect: error
return require "attack"(function()
  error("\0\xff\xfe\x80\xed\xa0\x80", 0)
end)
