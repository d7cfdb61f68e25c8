-- Tells a group what happens in it.

local groups = {}

-- Somebody who left may be no contact any more.
---@param member olvid.GroupMember
local function name_of(member)
  local known, contact = pcall(olvid.contact_get, { contact_id = member.contact_id })
  return known and contact.display_name or "Somebody"
end

---@param group olvid.Group
local function announce(group, text)
  if group:can_send_message() then
    group:send(text)
  end
end

-- Who joined, by group, and is not announced yet. The rules that share a script share its variables.
---@type table<integer, string[]?>
local newcomers = {}

-- Several may join at once, and when the bot itself comes in, everybody does: they are gathered for a moment and
-- announced with one message.
---@param notification olvid.GroupMemberJoinedNotification
function groups.joined(notification)
  local group, name = notification.group, name_of(notification.member)
  local waiting = newcomers[group.id]
  if waiting then
    waiting[#waiting + 1] = name
    return
  end
  newcomers[group.id] = { name }
  sleep(1)
  local names = newcomers[group.id]
  newcomers[group.id] = nil
  announce(group, table.concat(names, ", ") .. " joined the group.")
end

---@param notification olvid.GroupMemberLeftNotification
function groups.left(notification)
  announce(notification.group, name_of(notification.member) .. " left the group.")
end

---@param notification olvid.GroupNameUpdatedNotification
function groups.renamed(notification)
  local group, before = notification.group, notification.previous_name
  announce(group, ("This group is now called “%s”, before “%s”."):format(group.name, before))
end

return groups
