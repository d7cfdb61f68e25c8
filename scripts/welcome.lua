-- Greets whoever is new.
--
-- A discussion may exist before messages can pass: the two sides first agree on keys, which needs both to be online.
-- So wait, but not for ever.

local PATIENCE = 240 -- seconds; the rule's `timeout` is longer
local greeting = "Hello! I am a bot. !help shows what I can do."

---@param discussion olvid.Discussion
local function has_channel(discussion)
  local contact = discussion:contact()
  if not contact then
    return false
  end
  return contact.established_channel_count > 0
end

---@param notification olvid.DiscussionNewNotification
return function(notification)
  local discussion = notification.discussion
  if discussion:is_group_discussion() then
    if discussion:can_post_message() then
      discussion:send(greeting)
    end
    return
  end
  local waited = 0
  while not has_channel(discussion) do
    if waited >= PATIENCE then
      log.warn("nobody to greet: there is still no channel", { discussion = discussion.title })
      return
    end
    sleep(2)
    waited = waited + 2
  end
  discussion:send(greeting)
end
