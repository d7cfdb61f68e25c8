-- expect: ok prints "contained"
-- Answers of the daemon that are about who asks.
return require "attack"(function()
  local function told(name, ...)
    local ok, value = pcall(function(...) return olvid[name](...) end, ...)
    print(name, ok, type(value) == "table" and json.encode(value) or tostring(value))
  end
  told("authentication_test", {})
  told("identity_get", {})
  told("identity_get_api_key_status", {})
  told("daemon_version", {})
  told("ping", {})
  print "contained"
end)
