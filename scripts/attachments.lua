-- Keeps received files, and says where.
--
-- A name that comes from somebody else is not trusted: `save` makes it harmless and never overwrites a file.

---@param notification olvid.AttachmentReceivedNotification
return function(notification)
  local attachment = notification.attachment
  local path = attachment:save("received")
  log.info("saved an attachment", { path = path, size = attachment.size, type = attachment.mime_type })
  attachment:message():reply("Saved as " .. path)
end
