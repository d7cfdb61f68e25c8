return function(notification)
  olvid.discussion_storage_set { discussion_id = 101, key = "new", value = notification.contact.display_name }
end
