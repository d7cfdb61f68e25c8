-- message_received:on_message group_name_updated:on_rename contact_new:on_contact
-- Each function knows what it is called with; others do not.
local M = { on_contact = function(notification) print(notification.contact.name, notification.message) end }

function M.on_message(notification) print(notification.message.bdy, notification.group) end

local function rename(notification) print(notification.group.nmae, notification.previous_nam) end
M.on_rename = rename

local function nobody(notification) print(notification.whatever) end
M.nobody = nobody

return M
