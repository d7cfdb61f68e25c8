-- Does everything that patterns are for, and returns all results and all mistakes as one text.
local show, subject, pattern, init, by, most = ...
local function all(...)
  local parts = table.pack(...)
  for at = 1, parts.n do parts[at] = type(parts[at]) == "string" and show(parts[at]) or tostring(parts[at]) end
  return table.concat(parts, " ")
end
local function each(...)
  local lines = {}
  for a, b, c in string.gmatch(...) do
    lines[#lines + 1] = all(a, b, c)
    if #lines > 100 then break end
  end
  return table.concat(lines, ";")
end
local function calls(...) return select("#", ...) % 3 > 0 and all(...) end
local lines = {
  all(pcall(string.find, subject, pattern, init)),
  all(pcall(string.find, subject, pattern, init, true)),
  all(pcall(string.match, subject, pattern, init)),
  all(pcall(each, subject, pattern, init)),
  all(pcall(string.gsub, subject, pattern, by)),
  all(pcall(string.gsub, subject, pattern, by, most)),
  all(pcall(string.gsub, subject, pattern, calls)),
  all(pcall(string.gsub, subject, pattern, calls, most)),
  all(pcall(string.gsub, subject, pattern, { a = "x", b = 1, ab = false, [1] = "y", [2] = 2.5, [""] = "" })),
}
return table.concat(lines, "\n")
