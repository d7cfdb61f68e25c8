-- The library functions that a run's limits must reach: what Lua does is interrupted, what one C call does is bounded.
--
-- Called once with the host's functions, before anything of a script runs; returns what takes the place of stock's. A
-- mistake is raised at the line that called. Stock functions are called only where they end soon, and under `pcall` where
-- they can fail: an error that they raise must not name this file. Each function here is entered through one of C's, so
-- its caller is two levels below it.
local host = ...

local error, getmetatable, pcall, select, tostring, type = error, getmetatable, pcall, select, tostring, type
local compile, date = load, os.date
local find, gsub, sub, rep, format = string.find, string.gsub, string.sub, string.rep, string.format
local concat, insert, move, remove, sort, unpack =
  table.concat, table.insert, table.move, table.remove, table.sort, table.unpack
local integer, tointeger, ult, maxinteger = math.type, math.tointeger, math.ult, math.maxinteger
local seek, take, begin, matches, replace = host.find, host.match, host.begin, host.matches, host.replace
local largest, longest_chunk = host.largest, host.longest_chunk

-- Items of a list that are made into one text at a time: a list of all pieces may be many times as large as the text.
local PIECES = 512

-- The most captures that a pattern can have.
local CAPTURES = 32

local NO_MEMORY = "not enough memory"

-- Errors of stock functions.

-- What a stock function returned under `pcall`, or its error as that of the function with this name.
local function settled(name, ok, ...)
  if ok then return ... end
  local mistake = ...
  if type(mistake) ~= "string" or mistake == NO_MEMORY then error(mistake, 0) end
  error(gsub(mistake, "^(bad argument #%d+ to) '%?'", "%1 '" .. name .. "'"), 3)
end

local function relay(name, f, ...) return settled(name, pcall(f, ...)) end

-- What a `__tostring` raises stays as it is.
local function formatted(ok, ...)
  if ok then return ... end
  local mistake = ...
  local own = type(mistake) == "string"
    and (find(mistake, "^bad argument #") or find(mistake, "^invalid ") or find(mistake, "^'__tostring' must")
      or find(mistake, "^specifier '%%q'"))
  if own then return settled("format", false, mistake) end
  error(mistake, 0)
end

-- Patterns.

-- A capture comes as where it begins and ends, or as a position and false.
local function captured(subject, from, to, ...)
  if from == nil then return end
  if to then from = sub(subject, from, to) end
  return from, captured(subject, ...)
end

local function found(subject, from, to, first, last, ...)
  if first == nil then
    if from then return from, to end
    if from == nil then return nil end
    error(to, 3)
  end
  if last then first = sub(subject, first, last) end
  if ... == nil then return from, to, first end
  return from, to, first, captured(subject, ...)
end

local function taken(subject, from, to, first, last, ...)
  if first == nil then
    if from then return sub(subject, from, to) end
    if from == nil then return nil end
    error(to, 3)
  end
  if last then first = sub(subject, first, last) end
  if ... == nil then return first end
  return first, captured(subject, ...)
end

-- The captures of one match in a batch, whose values are from `at` to `last`.
local function cut(subject, batch, at, last)
  local from, to = batch[at], batch[at + 1]
  if to then from = sub(subject, from, to) end
  if at + 1 >= last then return from end
  return from, cut(subject, batch, at + 2, last)
end

local function gmatch(...)
  local subject, pattern, from = begin(...)
  if not subject then error(pattern, 3) end
  local last, room, batch, width, at, size = 0, 4, nil, 0, 1, 0
  return function()
    if at >= size then
      local some = { matches(subject, pattern, from, last, room, CAPTURES, false) }
      if not some[1] then error(some[2], 2) end
      if #some == 1 then return end
      batch, width, at, size, room = some, some[1], 2, #some, 64
      from = some[size - width + 2]
      last = from + 1
    end
    local first = at
    at = at + width
    if width == 2 then return sub(subject, batch[first], batch[first + 1]) end
    return cut(subject, batch, first + 2, first + width - 1)
  end
end

-- Replaces by what a function or a table says.
local function rewrite(most, subject, pattern, change)
  local calls, anchors = type(change) == "function", sub(pattern, 1, 1) == "^"
  local from, last, count, kept, room = 0, 0, 0, 1, 4
  -- A table is asked for the first capture; what becomes of the others is of no account.
  local pieces, n, chunks, wanted = {}, 0, {}, calls and CAPTURES or 1
  while count < most do
    if most - count < room then room = most - count end
    local batch = { matches(subject, pattern, from, last, room, wanted, true) }
    local width, size = batch[1], #batch
    if not width then error(batch[2], 3) end
    if size == 1 then break end
    for at = 2, size, width do
      local start, stop = batch[at], batch[at + 1]
      local captures, value = at + 2, nil
      if width == 2 then captures = at end
      local first, stops = batch[captures], batch[captures + 1]
      if stops then first = sub(subject, first, stops) end
      if not calls then
        value = change[first]
      elseif width <= 4 then
        value = change(first)
      else
        value = change(first, cut(subject, batch, captures + 2, at + width - 1))
      end
      count = count + 1
      if value then
        local kind = type(value)
        if kind ~= "string" and kind ~= "number" then error("invalid replacement value (a " .. kind .. ")", 3) end
        pieces[n + 1], pieces[n + 2] = sub(subject, kept, start - 1), value
        n, kept = n + 2, stop + 1
        if n >= PIECES then chunks[#chunks + 1], n = concat(pieces, "", 1, n), 0 end
      end
      from, last = stop, stop + 1
    end
    if anchors then break end
    room = 64
  end
  if kept == 1 and n == 0 and #chunks == 0 then return subject, count end
  pieces[n + 1] = sub(subject, kept)
  local rest = concat(pieces, "", 1, n + 1)
  if #chunks == 0 then return rest, count end
  chunks[#chunks + 1] = rest
  return concat(chunks), count
end

local strings = {
  find = function(...) return found((...), seek(...)) end,
  match = function(...) return taken((...), take(...)) end,
  gmatch = gmatch,
  gsub = function(...)
    local result, count, subject, pattern = replace(...)
    if result == true then return rewrite(count, subject, pattern, (select(3, ...))) end
    if result then return result, count end
    error(count, 3)
  end,
  rep = function(...)
    local text, n, separator = ...
    local times, kind, between = tointeger(n), type(text), type(separator)
    if times and times > 0 and (kind == "string" or kind == "number")
      and (separator == nil or between == "string" or between == "number") then
      local length = #tostring(text) + (separator == nil and 0 or #tostring(separator))
      if length == 0 then return "" end
      if length > largest // times then
        -- The last one is not followed by a separator.
        if length * (times + 0.0) - (length - #tostring(text)) > largest then error("resulting string too large", 3) end
      end
    end
    return settled("rep", pcall(rep, ...))
  end,
  format = function(...)
    local form = ...
    if type(form) == "string" then
      if #form > 65536 then error("bad argument #1 to 'format' (longer than 64 KiB)", 3) end
      if find(form, "%q", 1, true) and find(gsub(form, "%%%%", ""), "%q", 1, true) then
        local all = 0
        for at = 2, select("#", ...) do
          local value = select(at, ...)
          if type(value) == "string" then all = all + #value end
          if all > 262144 then
            error("bad argument #" .. at .. " to 'format' (longer than 256 KiB, too long for a format with '%q')", 3)
          end
        end
      end
    end
    return formatted(pcall(format, ...))
  end,
}

-- Tables.

-- Whether stock functions see of a table what is in it: no more than there is memory.
local function is_plain(t) return type(t) == "table" and getmetatable(t) == nil end

local function length(t)
  local n = #t
  if integer(n) == "integer" then return n end
  n = tointeger(n)
  if not n then error("object length is not an integer", 4) end
  return n
end

-- An argument that stock Lua takes as a whole number.
local function whole(value, default)
  if value == nil then return default end
  return tointeger(value)
end

local tables = {}

function tables.insert(...)
  local t, place, value = ...
  local count = select("#", ...)
  if count == 2 and is_plain(t) then
    t[#t + 1] = place
    return
  end
  if type(t) ~= "table" then return relay("insert", insert, ...) end
  local free = length(t) + 1
  if count == 2 then
    t[free] = place
    return
  end
  if count ~= 3 then error("wrong number of arguments to 'insert'", 3) end
  local at = tointeger(place)
  if not at then return relay("insert", insert, {}, place, value) end
  if not ult(at - 1, free) then error("bad argument #2 to 'insert' (position out of bounds)", 3) end
  if is_plain(t) then
    if at < free then move(t, at, free - 1, at + 1) end
  else
    for i = free, at + 1, -1 do t[i] = t[i - 1] end
  end
  t[at] = value
end

function tables.remove(...)
  local t, place = ...
  if type(t) ~= "table" then return relay("remove", remove, ...) end
  local size = length(t)
  local at = whole(place, size)
  if not at then return relay("remove", remove, {}, place) end
  if at ~= size and ult(size, at - 1) then error("bad argument #2 to 'remove' (position out of bounds)", 3) end
  local value = t[at]
  if at < size then
    if is_plain(t) then
      move(t, at + 1, size, at)
    else
      for i = at, size - 1 do t[i] = t[i + 1] end
    end
    at = size
  end
  t[at] = nil
  return value
end

-- Elements that are moved in one C call: some milliseconds.
local MOVED = 1 << 19

function tables.move(...)
  local from, f, e, t, to = ...
  local first, last, target = tointeger(f), tointeger(e), tointeger(t)
  if not (first and last and target) then return relay("move", move, ...) end
  if to == nil then to = from end
  if type(from) ~= "table" and type(from) ~= "string" or type(to) ~= "table" then
    return relay("move", move, from, 1, 0, 1, select(5, ...))
  end
  if last < first then return to end
  if first <= 0 and last >= maxinteger + first then
    error("bad argument #3 to 'move' (too many elements to move)", 3)
  end
  if target > maxinteger - (last - first) then error("bad argument #4 to 'move' (destination wrap around)", 3) end
  if last - first < MOVED and is_plain(from) and is_plain(to) then return move(from, first, last, target, to) end
  if target > last or target <= first or (from ~= to) then
    for i = 0, last - first do to[target + i] = from[first + i] end
  else
    for i = last - first, 0, -1 do to[target + i] = from[first + i] end
  end
  return to
end

function tables.concat(...)
  local t, separator, i, j = ...
  if type(t) ~= "table" or getmetatable(t) == nil then return settled("concat", pcall(concat, ...)) end
  local last = length(t)
  local between = type(separator)
  local at, stop = whole(i, 1), whole(j, last)
  if not (at and stop) or separator ~= nil and between ~= "string" and between ~= "number" then
    return relay("concat", concat, {}, separator, i, j)
  end
  local pieces, n, chunks = {}, 0, {}
  for index = at, stop do
    local value = t[index]
    local kind = type(value)
    if kind ~= "string" and kind ~= "number" then
      error("invalid value (" .. kind .. ") at index " .. index .. " in table for 'concat'", 3)
    end
    pieces[n + 1], n = value, n + 1
    if separator ~= nil and index < stop then pieces[n + 1], n = separator, n + 1 end
    if n >= PIECES then chunks[#chunks + 1], n = concat(pieces, "", 1, n), 0 end
  end
  chunks[#chunks + 1] = concat(pieces, "", 1, n)
  return concat(chunks)
end

function tables.unpack(t, i, j)
  if is_plain(t) then
    local first, last = i, j
    if first == nil then first = 1 end
    if last == nil then last = #t end
    local simple = integer(first) == "integer" and integer(last) == "integer"
    -- So few fit on any stack.
    if simple and first > -MOVED and last < MOVED and last - first < 200 then return unpack(t, first, last) end
    return relay("unpack", unpack, t, i, j)
  end
  if type(t) ~= "table" then return relay("unpack", unpack, t, i, j) end
  local first, last = whole(i, 1), whole(j, j == nil and length(t))
  if not (first and last) then return relay("unpack", unpack, {}, i, j) end
  if first > last then return end
  if not ult(last - first, 1000000) then error("too many results to unpack", 3) end
  local values = {}
  for at = 0, last - first do values[at + 1] = t[first + at] end
  return relay("unpack", unpack, values, 1, last - first + 1)
end

-- How many numbers, or short texts, stock sorts in some milliseconds.
local SORTED = 20000

-- Whether values are few and of a kind that compares at once.
local function is_simple(t, n)
  if n > SORTED or not is_plain(t) then return false end
  local kind = type(t[1])
  if kind == "number" then
    for at = 1, n do
      local value = t[at]
      if type(value) ~= "number" or value ~= value then return false end
    end
    return true
  end
  if kind ~= "string" then return false end
  for at = 1, n do
    local value = t[at]
    if type(value) ~= "string" or #value > 100 then return false end
  end
  return true
end

local function less_than(a, b) return a < b end

-- Elements that are put in order one by one, before runs of them are merged.
local RUN = 8

local function put_in_order(items, low, high, less)
  for at = low + 1, high do
    local value, before = items[at], at - 1
    while before >= low and less(value, items[before]) do
      items[before + 1] = items[before]
      before = before - 1
    end
    items[before + 1] = value
  end
end

local function merge(items, others, low, middle, high, less)
  if not less(items[middle], items[middle - 1]) then
    for at = low, high - 1 do others[at] = items[at] end
    return
  end
  local left, right = low, middle
  for at = low, high - 1 do
    if left < middle and (right >= high or not less(items[right], items[left])) then
      others[at], left = items[left], left + 1
    else
      others[at], right = items[right], right + 1
    end
  end
end

local function merged(items, n, less)
  for low = 1, n, RUN do put_in_order(items, low, low + RUN - 1 < n and low + RUN - 1 or n, less) end
  local others, width = {}, RUN
  while width < n do
    for low = 1, n, 2 * width do
      local middle, high = low + width, low + 2 * width
      if high > n + 1 then high = n + 1 end
      if middle >= high then
        for at = low, high - 1 do others[at] = items[at] end
      else
        merge(items, others, low, middle, high, less)
      end
    end
    items, others, width = others, items, 2 * width
  end
  return items
end

function tables.sort(...)
  local t, less = ...
  if type(t) ~= "table" then return relay("sort", sort, ...) end
  local n = length(t)
  if n < 2 then return end
  if n >= 2147483647 then error("bad argument #1 to 'sort' (array too big)", 3) end
  if less ~= nil and type(less) ~= "function" then return relay("sort", sort, { 1, 2 }, less) end
  if less == nil and is_simple(t, n) then return sort(t) end
  local items = {}
  for at = 1, n do items[at] = t[at] end
  if less then
    items = merged(items, n, less)
  else
    local ok, result = pcall(merged, items, n, less_than)
    if not ok then
      -- Values that cannot be compared are the caller's mistake, not this file's.
      local words = type(result) == "string" and find(result, "^%[olvid library%]:%d+: ")
      if words then error(gsub(result, "^%[olvid library%]:%d+: ", ""), 3) end
      error(result, 0)
    end
    items = result
  end
  for at = 1, n do t[at] = items[at] end
end

-- The rest.

-- What a function returns piece by piece, as one text; nothing and a mistake where there is none.
local function gathered(reader)
  local pieces, n, size = {}, 0, 0
  while true do
    local ok, piece = pcall(reader)
    if not ok then return nil, piece end
    if piece == nil or piece == "" then return concat(pieces) end
    if type(piece) ~= "string" and type(piece) ~= "number" then return nil, "reader function must return a string" end
    n, size = n + 1, size + #tostring(piece)
    if size > longest_chunk then return concat(pieces) .. piece end
    pieces[n] = piece
  end
end

local function load(chunk, ...)
  local name, mode = ...
  local kind = type(chunk)
  if kind ~= "string" and kind ~= "number" and kind ~= "function"
    or mode ~= nil and type(mode) ~= "string" and type(mode) ~= "number" then
    return relay("load", compile, chunk, ...)
  end
  local text, mistake = chunk, nil
  if kind == "function" then
    text, mistake = gathered(chunk)
    if not text then return nil, mistake end
  end
  text = tostring(text)
  if #text > longest_chunk then return nil, "chunk is longer than " .. longest_chunk // 1024 .. " KiB" end
  -- Only texts are compiled, whatever the mode says: bytecode can do what no script may.
  if mode and sub(text, 1, 1) ~= "\27" and not find(mode, "t", 1, true) then
    return nil, "attempt to load a text chunk (mode is '" .. mode .. "')"
  end
  if name == nil then
    name = "=(load)"
  elseif type(name) == "string" or type(name) == "number" then
    -- As it is told where something happened: it must not look like another script's, nor like the host's own.
    name = sub(tostring(name), 1, 40)
    if sub(name, 1, 1) == "@" or sub(name, 1, 1) == "=" then name = sub(name, 2) end
    name = "=(load " .. name .. ")"
  end
  return relay("load", compile, text, name, "t", select(3, ...))
end

local function told_date(...)
  local form = ...
  if type(form) == "string" and #form > 1024 then error("bad argument #1 to 'date' (longer than 1 KiB)", 3) end
  return settled("date", pcall(date, ...))
end

return { string = strings, table = tables, os = { date = told_date }, _G = { load = load } }
