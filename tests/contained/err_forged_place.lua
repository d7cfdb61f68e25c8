-- expect: error
-- The place is where it was raised, whatever the value says of it.
return require "attack"(function()
  error { place = "/etc/passwd:1", message = "x", kind = "load" }
end)
