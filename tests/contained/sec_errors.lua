-- expect: ok prints "contained"
-- Errors of all kinds, with all that they say.
return require "attack"(function()
  local function told(f, ...)
    local ok, e = pcall(f, ...)
    if ok then return end
    print(tostring(e))
    if type(e) == "table" then log.info("fields", e) end
  end
  told(olvid.message_send, {})
  told(olvid.message_send, { discussion_id = 999999, body = "x" })
  told(olvid.message_get, { message_id = { type = "inbound", id = 999999 } })
  told(olvid.contact_get, { contact_id = 999999 })
  told(olvid.authentication_test, {})
  told(olvid.identity_set_api_key, { api_key = "no key" })
  told(function() return olvid.admin_client_key_list {} end)
  told(function() return olvid.admin_client_key_get { client_key = "x" } end)
  told(function() return olvid.nothing {} end)
  print "contained"
end)
