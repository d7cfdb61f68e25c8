-- expect: error
-- What is told of a function is not what the script calls it.
return require "attack"(function()
  local text = "local t = {} t['a\\nb'] = function() error 'x' end t['a\\nb']()"
  load(text, "=a\n\27[31m\u{202e}")()
end)
