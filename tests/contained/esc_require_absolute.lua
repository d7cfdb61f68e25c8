-- expect: ok prints "contained"
return require "attack"(function()
  for _, name in ipairs { "/etc/passwd", "/proc/self/environ", "//etc/passwd", "file:///etc/passwd", "~/x", "C:\\x" } do
    assert(not pcall(require, name), name)
  end
  print "contained"
end)
