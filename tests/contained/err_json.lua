-- expect: error
return require "attack"(function()
  error('","kind":"load","event":"started","level":"info","x":"', 0)
end)
