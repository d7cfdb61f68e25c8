-- Answers a greeting by name.
--
-- The lines that begin with three dashes are for the editor: it then knows the fields of `notification`, and what can be
-- done with them.

---@param notification olvid.MessageReceivedNotification
---@param rule olvid.Rule
return function(notification, rule)
  local message = notification.message
  local sender = message:sender()
  if not sender then
    return -- one's own message
  end
  log.info("greeting somebody", { who = sender.display_name, rule = rule.name })
  message:reply("Hello " .. sender.display_name .. "!")
end
