-- Logs reactions, and thanks for those to the bot's own messages.

-- Who reacted: a contact, or the bot itself, whose id among contacts is 0.
---@param reaction olvid.MessageReaction
local function who(reaction)
  if reaction.contact_id == 0 then
    return "me"
  end
  return olvid.contact_get({ contact_id = reaction.contact_id }).display_name
end

local reactions = {}

---@param notification olvid.MessageReactionAddedNotification
function reactions.added(notification)
  local message, reaction = notification.message, notification.reaction
  log.info("reaction added", { who = who(reaction), reaction = reaction.reaction, message = tostring(message.id) })
  if message:is_outbound() and reaction.contact_id ~= 0 then
    message:reply { body = "Thanks for the " .. reaction.reaction, quote = true }
  end
end

---@param notification olvid.MessageReactionUpdatedNotification
function reactions.updated(notification)
  local reaction, previous = notification.reaction, notification.previous_reaction
  log.info("reaction changed", { who = who(reaction), from = previous.reaction, to = reaction.reaction })
end

---@param notification olvid.MessageReactionRemovedNotification
function reactions.removed(notification)
  local reaction = notification.reaction
  log.info("reaction removed", { who = who(reaction), reaction = reaction.reaction })
end

return reactions
