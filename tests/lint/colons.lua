-- message_received:on_message group_name_updated:on_rename contact_new:on_contact discussion_new:on_discussion
-- Handlers that are declared with a colon get their first argument as `self`.
local M = {}

function M:on_message(notification, rule) print(notification.message.body, rule) end

function M:on_rename(rule) print(self.group.nmae, rule.nam, rule.name) end

function M:on_contact() print(self.contact.nam) end

function M:on_discussion(notification) print(notification.discussion.titel) end

M:on_discussion { discussion = {} }

return M
