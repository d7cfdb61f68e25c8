-- expect: ok prints "first"
-- A stranger's text in a line: one line it stays.
return require "attack"(function()
  print 'first\nsecond\r{"level":"error","event":"run_failed","kind":"cpu"}'
end)
