-- expect: ok prints "contained"
-- A field of the script's is none of the line's.
return require "attack"(function()
  local forged = {
    timestamp = "1970-01-01T00:00:00Z", level = "error", event = "started", message = "escaped", rule = "witness",
    script = "witness.lua", place = "witness.lua:1", subscription = "none", kind = "load", fields = "escaped",
    traceback = { "escaped" }, notification = "escaped",
  }
  log.info("contained", forged)
end)
