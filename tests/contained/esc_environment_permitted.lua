-- expect: ok prints "contained"
-- permissions: { env: [TMPDIR] }
return require "attack"(function()
  assert(env.TMPDIR)
  assert(not pcall(function() return env.PATH end))
  for name in pairs(env) do assert(name == "TMPDIR", name) end
  pcall(function() env.TMPDIR = "escaped" end)
  pcall(rawset, env, "TMPDIR", "escaped")
  assert(env.TMPDIR ~= "escaped")
  print "contained"
end)
