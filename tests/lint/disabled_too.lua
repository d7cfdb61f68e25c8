-- contact_new:on message_received:on contact_new:other
local M = {}
function M.on(notification) print(notification.message, notification.contact, notification.group) end
function M.other(notification) print(notification.message) end
return M
