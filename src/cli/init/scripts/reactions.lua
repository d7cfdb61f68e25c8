-- Thanks for reactions to the bot's own messages.

local reactions = {}

-- How often each contact was thanked. A script keeps its variables from one notification to the next.
---@type table<string, integer>
local thanked = {}

---@param notification olvid.MessageReactionAddedNotification
function reactions.added(notification)
  local message, reaction = notification.message, notification.reaction
  if not message:is_outbound() then
    return
  end
  local who = tostring(reaction.contact_id)
  thanked[who] = (thanked[who] or 0) + 1
  message:reply { body = "Thanks for the " .. reaction.reaction .. " (" .. thanked[who] .. ")", quote = true }
end

-- These two hand the variables on when the script is loaded anew.
function reactions.save()
  return thanked
end

function reactions.restore(state)
  thanked = state
end

return reactions
