-- expect: memory
-- rule: memory=8MiB
-- One large text that is kept, nearly as large as what there is, and then another one.
return require "attack"(function()
  hoard = ("x"):rep(5 << 20)
  more = ("y"):rep(5 << 20)
end)
