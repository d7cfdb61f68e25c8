-- expect: error or memory or cpu
-- rule: memory=8MiB
-- One list of a hundred thousand ids in each of a thousand requests that are never sent.
return require "attack"(function()
  local ids = {}
  for at = 1, 100000 do ids[at] = 1 << 50 end
  local function ask() return olvid.group_new_standard_group { name = "x", contact_ids = ids } end
  for _ = 1, 1000 do
    table.sort({ 2, 1 }, function()
      local ok, e = coroutine.resume(coroutine.create(ask))
      if not ok then error(e, 0) end
    end)
  end
  error "each was refused"
end)
