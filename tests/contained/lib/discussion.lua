-- A discussion that exists.
return function()
  for discussion in olvid.discussion_list {} do return discussion.id end
end
