-- Fields that notifications and datatypes do not have, and values that fields cannot have.

---@param notification olvid.MessageReceivedNotification
---@param rule olvid.Rule
local function received(notification, rule)
  local message = notification.message
  log.info(message.bdy) --! undefined-field
  log.info(notification.mesage.body) --! undefined-field
  log.info(message.reply_id) --! undefined-field
  log.info(message.id.number) --! undefined-field
  log.info(rule.title) --! undefined-field
  log.info(rule.attempt) --! undefined-field
  message.text = "x" --! inject-field
  message.body = 5 --! assign-type-mismatch
  message.id.type = "inbond" --! assign-type-mismatch
  for _, reaction in ipairs(message.reactions) do
    log.info(reaction.contact) --! undefined-field
    log.info(reaction.emoji) --! undefined-field
  end
end

---@param notification olvid.GroupMemberJoinedNotification
local function joined(notification)
  log.info(notification.group.title) --! undefined-field
  log.info(notification.member.display_name) --! undefined-field
  log.info(notification.contact) --! undefined-field
  log.info(notification.group.own_permissions.administrator) --! undefined-field
end

---@param notification olvid.MessageReactionUpdatedNotification
local function changed(notification)
  log.info(notification.previous) --! undefined-field
  log.info(notification.previous_reaction.body) --! undefined-field
end

---@param notification olvid.InvitationReceivedNotification
local function invited(notification)
  notification.invitation.status = "STATUS_ACCEPTED" --! assign-type-mismatch
  log.info(notification.invitation.state) --! undefined-field
end

---@param notification olvid.MessageRecievedNotification --! type-not-found
local function misspelt(notification) log.info(notification) end

-- A handler has a type, too.
---@param handler olvid.handler.contact_new
---@param notification olvid.ContactNewNotification
---@param rule olvid.Rule
local function tried(handler, notification, rule)
  handler(notification, rule)
  handler(notification) --! missing-parameter
  handler(notification.contact, rule) --! param-type-mismatch
  handler(rule, notification) --! param-type-mismatch
end

return { received = received, joined = joined, changed = changed, invited = invited, misspelt = misspelt, tried = tried }
