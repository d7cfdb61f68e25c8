--# Handlers
--|
--| A rule's handler is a function of two arguments: `handler(notification, rule)`. A script returns it, or a table of such
--| functions, of which the rule names one (`handler: scripts/groups.lua:joined`). What it returns is of no account; when it
--| raises an error, the run has failed, which the log tells, and the next notification is handled.
--|
--| `notification` is a plain table with the documented fields; `olvid-rules catalog NAME` lists them. Scalars are always there
--| (`0`, `""`, `false`), lists are always lists, what is optional is `nil` when absent, of a group of alternatives only the one
--| that is set is there. Bytes are strings, 64-bit integers are exact, an enum is its name: `"TYPE_INBOUND"`.
--|
--| A script is loaded once and has a VM of its own: the rules that name it share its variables, and nobody else's. While it is
--| loaded it can wait for nothing: no commands, no `sleep`. The table that it returns may also have `save` and `restore`, which
--| hand its variables to the next version when it is loaded anew.

---The rule that a handler runs for: its second argument.
---@class olvid.Rule
---@field name string The rule's name.
---@field subscription string The subscription's name, such as `message_received`.
---@field file string The rule file.
---@field caught_up boolean Whether the notification was listed after the stream had been closed, rather than notified.

--# Commands
--|
--| `olvid.NAME{ ... }` sends a command to the daemon: one table with the fields of its request. The call waits for the answer
--| and holds up no other handler meanwhile. An answer without fields returns nothing, one with a single field its value,
--| any other a table. Lists are iterators, read page by page: `for message in olvid.message_list{ unread = true } do ... end`.
--| A download returns the whole content; an upload takes each file as `{ filename = "a.png", content = bytes }` or
--| `{ path = "a.png" }`.
--|
--| A field that does not exist and a value that does not fit are errors before anything is sent. An enum may be given as its
--| name or the part behind what the names share, in any case: `"TYPE_INBOUND"`, `"inbound"`.
--|
--| Calls may be made inside `pcall`, coroutines and iterators; not while a script is loaded, nor in a sort comparator, a
--| `gsub` callback or a metamethod. `pairs(olvid)` goes through all commands. Those that begin with `admin_` are there when the
--| host has an administrator's key.

---The daemon's commands.
---@class olvid.Commands
olvid = {}

---A file to send: `content` with its `filename`, or the `path` of a file that the rule file permits to read.
---@class olvid.File
---@field filename? string What it is called; by default as the file at `path`.
---@field content? string All its bytes.
---@field path? string From the script's directory.

--# Objects and their methods
--|
--| What comes in has methods, called with a colon: `notification.message:reply("pong")`. They send commands, so they wait as
--| those do, need the same permissions and fail with the same errors; a mistake in their arguments is an error at the script's
--| line. Several have a second name, which is that of the published client.
--|
--| The ids of messages and attachments are tables: equal ids are `==`, and `tostring(message.id)` is `I12` for a received
--| one, `O7` for one that was sent.
--= methods

--# Errors
--|
--| What goes wrong with a command is raised as a table, not a text. `pcall` catches it; `tostring` names the command, the code,
--| the message and the place. Every other error is Lua's own.
--|
--| ```lua
--| ---@param notification olvid.MessageReceivedNotification
--| return function(notification)
--|   local ok, mistake = pcall(olvid.message_react, { message_id = notification.message.id, reaction = "👍" })
--|   if not ok and mistake.code == "NOT_FOUND" then
--|     log.info("the message is gone")
--|   elseif not ok then
--|     error(mistake, 0)
--|   end
--| end
--| ```
--|
--| A run that exceeds its time, CPU, memory or output is ended: no `pcall` catches that.

---A command that was refused, by the daemon or before it was sent.
---@class olvid.Error
---@field code string gRPC's word for it: `NOT_FOUND`, `INVALID_ARGUMENT`, `PERMISSION_DENIED` ...
---@field message string What is wrong.
---@field command string The command's name.
---@field sent boolean Whether the command was sent; if so, it may have had an effect.
---@field denied? boolean `true` where the rule file does not permit it.
---@field place? string Where in the script it was raised: `ping.lua:3`.

---Calls a function and catches its error: `true` and what it returns, or `false` and the error.
---@param call function
---@param ... any
---@return boolean ok
---@return any result
---@return any ...
function pcall(call, ...) end

---As `pcall`, with a function that is called with the error where it is raised.
---@param call function
---@param handler function
---@param ... any
---@return boolean ok
---@return any result
---@return any ...
function xpcall(call, handler, ...) end

--# The log
--|
--| `print(...)` is `log.info` of its arguments.

---Lines of the host's log. Each names the rule and the script's line; `fields` are added to it by name.
---@class olvid.Log
log = {}

---Tells what only matters when something is looked into; shown with `--log-level debug`.
---@param text any
---@param fields? table<string, any>
function log.debug(text, fields) end

---Tells what happens.
---@param text any
---@param fields? table<string, any>
function log.info(text, fields) end

---Tells what may be wrong.
---@param text any
---@param fields? table<string, any>
function log.warn(text, fields) end

---Tells what is wrong.
---@param text any
---@param fields? table<string, any>
function log.error(text, fields) end

--# JSON

---@class olvid.Json
---@field null lightuserdata JSON's `null`, which a table of Lua cannot hold otherwise.
json = {}

---Writes a value as JSON. A table is a list where its keys are 1, 2, 3 ..., or where `json.array` says so.
---@param value any
---@return string
---@nodiscard
function json.encode(value) end

---Reads JSON; `null` becomes `json.null`. What is not JSON is an error, with its place in the text.
---@param text string
---@return any
---@nodiscard
function json.decode(text) end

---Marks a table as a list, so that an empty one is written as `[]`. Returns the table.
---@generic T: table
---@param list T
---@return T
function json.array(list) end

--# Time and environment

---Waits, and holds up no other handler; the run's `timeout` goes on.
---@param seconds number From 0 to 86400, with fractions.
function sleep(seconds) end

---The environment's variables that the rule file permits (`permissions: { env: [LANG] }`). One that is permitted and not set
---is `nil`; any other raises an error.
---@type table<string, string?>
env = {}

--# Limits
--|
--| Each run of a handler has bounds, which the rule may set:
--= limits
--|
--| Whatever the rule says: a text that a library function makes has 64 MiB at most, a text in the log 4 KiB, JSON 4 MiB, 64
--| levels and 100,000 values when it is written; a run reads 100 lists at a time.

--# Lua's own library
--= library
--|
--| Lua 5.4 with the libraries `string`, `table`, `math`, `utf8`, `coroutine`, and of `os` the clock. There is no `io`, `debug` or
--| `package`, and no `dofile`, `loadfile`, `collectgarbage`, `string.dump`, `os.execute`, `os.getenv`, `os.exit` or `os.remove`. The
--| tables of the libraries cannot be changed, as the rules of a script share them; nor can `olvid`, `log`, `json` and `env`.
--|
--| Different from stock Lua: `load` takes texts of up to 64 KiB and no bytecode, `setmetatable` refuses `__gc`, `getmetatable`
--| of a string is `false`, `string.rep`, `string.format` and others refuse to make a text of more than 64 MiB.

---Is `log.info` of its arguments, each as `tostring` shows it, with tabs between them.
---@param ... any
function print(...) end

---Returns what a module returns: `require "lib.util"` runs `lib/util.lua` below the script's directory, once in each VM. A
---change of the module loads the script anew. There are no native modules and no `package`.
---@param name string
---@return any
function require(name) end

---The global variables.
---@type table<string, any>
_G = {}

---Lua's version, `"Lua 5.4"`.
---@type string
_VERSION = "Lua 5.4"

---Raises an error where the value is `false` or `nil`; returns all its arguments otherwise.
---@generic T
---@param value? T
---@param message? any
---@param ... any
---@return T
---@return any ...
function assert(value, message, ...) end

---Raises an error. A text gets the place in front: that of the caller (level 1), of its caller (2), or none (0).
---@param message any
---@param level? integer
function error(message, level) end

---The metatable of a value, or what its `__metatable` says.
---@param value any
---@return any
---@nodiscard
function getmetatable(value) end

---Goes through a list: 1, 2, 3 ... up to the first `nil`.
---@generic V
---@param list V[]
---@return fun(list: V[], at?: integer): integer, V
---@return V[]
---@return integer
function ipairs(list) end

---Compiles a text, or the pieces that a function returns. Returns the function, or nothing and what is wrong.
---@param chunk string|function
---@param name? string
---@param mode? "t"|"b"|"bt"
---@param environment? table
---@return function?
---@return string? mistake
---@nodiscard
function load(chunk, name, mode, environment) end

---The entry behind a key of a table, or the first one.
---@generic K, V
---@param table table<K, V>
---@param key? K
---@return K?
---@return V?
---@nodiscard
function next(table, key) end

---Goes through all entries of a table, in no particular order.
---@generic K, V
---@param table table<K, V>
---@return fun(table: table<K, V>, key?: K): K, V
---@return table<K, V>
function pairs(table) end

---Whether two values are the same, whatever `__eq` says.
---@param one any
---@param other any
---@return boolean
---@nodiscard
function rawequal(one, other) end

---An entry of a table, whatever `__index` says.
---@param table table
---@param key any
---@return any
---@nodiscard
function rawget(table, key) end

---The length of a table or text, whatever `__len` says.
---@param value table|string
---@return integer
---@nodiscard
function rawlen(value) end

---Sets an entry of a table, whatever `__newindex` says.
---@generic T: table
---@param table T
---@param key any
---@param value any
---@return T
function rawset(table, key, value) end

---The arguments from a place on (from the end where it is negative), or with `"#"` how many there are.
---@param at integer|"#"
---@param ... any
---@return any ...
---@nodiscard
function select(at, ...) end

---Gives a table a metatable and returns the table. `__gc` is refused.
---@generic T: table
---@param table T
---@param metatable? table
---@return T
function setmetatable(table, metatable) end

---Reads a number from a text, in a base from 2 to 36 if one is given; `nil` where it is none.
---@param value any
---@param base? integer
---@return number?
---@nodiscard
function tonumber(value, base) end

---Any value as text.
---@param value any
---@return string
---@nodiscard
function tostring(value) end

---The name of a value's type.
---@param value any
---@return "nil"|"number"|"string"|"boolean"|"table"|"function"|"thread"|"userdata"
---@nodiscard
function type(value) end

---@class coroutinelib
coroutine = {}

---Ends a suspended coroutine and closes what it has to close.
---@param co thread
---@return boolean ok
---@return any mistake
function coroutine.close(co) end

---Makes a coroutine of a function.
---@param body function
---@return thread
---@nodiscard
function coroutine.create(body) end

---Whether the running coroutine is one of the script's, which may yield.
---@return boolean
---@nodiscard
function coroutine.isyieldable() end

---Lets a coroutine run until it yields or ends: `true` and its values, or `false` and the error.
---@param co thread
---@param ... any
---@return boolean ok
---@return any ...
function coroutine.resume(co, ...) end

---The running coroutine, and whether it is none of the script's.
---@return thread running
---@return boolean is_main
---@nodiscard
function coroutine.running() end

---What a coroutine does.
---@param co thread
---@return "running"|"suspended"|"normal"|"dead"
---@nodiscard
function coroutine.status(co) end

---Makes a coroutine of a function; returns a function that resumes it.
---@param body function
---@return fun(...: any): any ...
---@nodiscard
function coroutine.wrap(body) end

---Hands values to whoever resumed the coroutine; returns what it is resumed with.
---@param ... any
---@return any ...
function coroutine.yield(...) end

---@class mathlib
---@field huge number A number greater than any other.
---@field maxinteger integer The greatest integer, 2^63-1.
---@field mininteger integer The least integer, -2^63.
---@field pi number The number π.
math = {}

---The absolute value.
---@generic N: number
---@param x N
---@return N
---@nodiscard
function math.abs(x) end

---The arc cosine, in radians.
---@param x number
---@return number
---@nodiscard
function math.acos(x) end

---The arc sine, in radians.
---@param x number
---@return number
---@nodiscard
function math.asin(x) end

---The arc tangent of `y / x`, in radians, in the right quadrant.
---@param y number
---@param x? number
---@return number
---@nodiscard
function math.atan(y, x) end

---As `math.atan(y, x)`.
---@param y number
---@param x number
---@return number
---@nodiscard
function math.atan2(y, x) end

---The least integer that is not below the number.
---@param x number
---@return integer
---@nodiscard
function math.ceil(x) end

---The cosine of an angle in radians.
---@param x number
---@return number
---@nodiscard
function math.cos(x) end

---The hyperbolic cosine.
---@param x number
---@return number
---@nodiscard
function math.cosh(x) end

---Radians to degrees.
---@param x number
---@return number
---@nodiscard
function math.deg(x) end

---e to the power of a number.
---@param x number
---@return number
---@nodiscard
function math.exp(x) end

---The greatest integer that is not above the number.
---@param x number
---@return integer
---@nodiscard
function math.floor(x) end

---The remainder of a division that rounds towards zero.
---@param x number
---@param y number
---@return number
---@nodiscard
function math.fmod(x, y) end

---A number as a fraction from 0.5 to 1 and the power of 2 to multiply it with.
---@param x number
---@return number fraction
---@return integer exponent
---@nodiscard
function math.frexp(x) end

---`x * 2^exponent`.
---@param x number
---@param exponent integer
---@return number
---@nodiscard
function math.ldexp(x, exponent) end

---The logarithm, natural unless a base is given.
---@param x number
---@param base? number
---@return number
---@nodiscard
function math.log(x, base) end

---The decimal logarithm.
---@param x number
---@return number
---@nodiscard
function math.log10(x) end

---The greatest of its arguments.
---@generic N: number
---@param x N
---@param ... N
---@return N
---@nodiscard
function math.max(x, ...) end

---The least of its arguments.
---@generic N: number
---@param x N
---@param ... N
---@return N
---@nodiscard
function math.min(x, ...) end

---The part before the point and the part behind it.
---@param x number
---@return number whole
---@return number fraction
---@nodiscard
function math.modf(x) end

---`x` to the power of `y`.
---@param x number
---@param y number
---@return number
---@nodiscard
function math.pow(x, y) end

---Degrees to radians.
---@param x number
---@return number
---@nodiscard
function math.rad(x) end

---A random number: an integer from 1 to `m`, from `m` to `n`, or without arguments a fraction from 0 to 1.
---@overload fun(): number
---@param m number
---@param n? number
---@return integer
---@nodiscard
function math.random(m, n) end

---Begins a series of random numbers.
---@param x? number
---@param y? integer
function math.randomseed(x, y) end

---The sine of an angle in radians.
---@param x number
---@return number
---@nodiscard
function math.sin(x) end

---The hyperbolic sine.
---@param x number
---@return number
---@nodiscard
function math.sinh(x) end

---The square root.
---@param x number
---@return number
---@nodiscard
function math.sqrt(x) end

---The tangent of an angle in radians.
---@param x number
---@return number
---@nodiscard
function math.tan(x) end

---The hyperbolic tangent.
---@param x number
---@return number
---@nodiscard
function math.tanh(x) end

---The number as an integer, where it is one.
---@param x any
---@return integer?
---@nodiscard
function math.tointeger(x) end

---Whether a number is an integer or a float; `nil` for anything else.
---@param x any
---@return "integer"|"float"|nil
---@nodiscard
function math.type(x) end

---Whether an integer is below another, both taken as unsigned.
---@param m integer
---@param n integer
---@return boolean
---@nodiscard
function math.ult(m, n) end

---The clock; nothing else of it exists here.
---@class oslib
os = {}

---Seconds of CPU that the program has used.
---@return number
---@nodiscard
function os.clock() end

---A time as text, or with `"*t"` as a table. The form is that of C's `strftime`, up to 1 KiB.
---@overload fun(form: "*t"|"!*t", time?: integer): table
---@param form? string
---@param time? integer
---@return string
---@nodiscard
function os.date(form, time) end

---Seconds from one time to another.
---@param later integer
---@param earlier integer
---@return number
---@nodiscard
function os.difftime(later, earlier) end

---Now, or the time that a table tells, in seconds since the epoch.
---@param date? table
---@return integer
---@nodiscard
function os.time(date) end

---Texts; all but `char` are also methods of texts: `("a"):rep(3)`.
---@class stringlib
string = {}

---The bytes from one place to another.
---@param s string|number
---@param from? integer
---@param to? integer
---@return integer ...
---@nodiscard
function string.byte(s, from, to) end

---The text of some bytes.
---@param ... integer
---@return string
---@nodiscard
function string.char(...) end

---Looks for a pattern, or for a plain text: where it begins and ends, and its captures; `nil` where it is not found.
---@param s string|number
---@param pattern string|number
---@param from? integer
---@param plain? boolean
---@return integer? first
---@return integer? last
---@return any ...
---@nodiscard
function string.find(s, pattern, from, plain) end

---A text with values in place of its directives: `%d`, `%s`, `%q` ...
---@param form string|number
---@param ... any
---@return string
---@nodiscard
function string.format(form, ...) end

---Goes through all matches of a pattern: their captures, or the match itself where there is none.
---@param s string|number
---@param pattern string|number
---@param from? integer
---@return fun(): string, any
---@nodiscard
function string.gmatch(s, pattern, from) end

---Replaces the matches of a pattern by a text, by what a table has for them, or by what a function returns. Returns the text
---and how many there were.
---@param s string|number
---@param pattern string|number
---@param change string|number|table|function
---@param most? integer
---@return string
---@return integer count
function string.gsub(s, pattern, change, most) end

---The length in bytes.
---@param s string|number
---@return integer
---@nodiscard
function string.len(s) end

---In lower case, as far as ASCII goes.
---@param s string|number
---@return string
---@nodiscard
function string.lower(s) end

---The captures of the first match of a pattern, or the match itself; `nil` where there is none.
---@param s string|number
---@param pattern string|number
---@param from? integer
---@return any capture
---@return any ...
---@nodiscard
function string.match(s, pattern, from) end

---Values as bytes, in the form that is given.
---@param form string
---@param ... string|number
---@return string
---@nodiscard
function string.pack(form, ...) end

---How many bytes `string.pack` makes in that form.
---@param form string
---@return integer
---@nodiscard
function string.packsize(form) end

---A text some times over.
---@param s string|number
---@param count integer
---@param between? string|number
---@return string
---@nodiscard
function string.rep(s, count, between) end

---The bytes in reverse order.
---@param s string|number
---@return string
---@nodiscard
function string.reverse(s) end

---The part from one byte to another, counted from the end where negative.
---@param s string|number
---@param from integer
---@param to? integer
---@return string
---@nodiscard
function string.sub(s, from, to) end

---Reads what `string.pack` wrote: the values, and where reading ended.
---@param form string
---@param s string
---@param from? integer
---@return any ...
---@nodiscard
function string.unpack(form, s, from) end

---In upper case, as far as ASCII goes.
---@param s string|number
---@return string
---@nodiscard
function string.upper(s) end

---@class tablelib
table = {}

---The texts and numbers of a list as one text.
---@param list table
---@param between? string
---@param from? integer
---@param to? integer
---@return string
---@nodiscard
function table.concat(list, between, from, to) end

---Adds a value to a list, at its end or at a place.
---@overload fun(list: table, value: any)
---@param list table
---@param at integer
---@param value any
function table.insert(list, at, value) end

---Copies the values of a list to a place of the same list or another.
---@param from table
---@param first integer
---@param last integer
---@param at integer
---@param to? table
---@return table
function table.move(from, first, last, at, to) end

---Its arguments as a list, with their number in `n`.
---@param ... any
---@return table
---@nodiscard
function table.pack(...) end

---Removes a value from a list, the last one or that at a place, and returns it.
---@generic V
---@param list V[]
---@param at? integer
---@return V?
function table.remove(list, at) end

---Sorts a list, by `<` or by a function that says whether the first comes before the second. That may not wait for anything.
---@generic V
---@param list V[]
---@param before? fun(one: V, other: V): boolean
function table.sort(list, before) end

---The values of a list, one after another.
---@generic V
---@param list V[]
---@param from? integer
---@param to? integer
---@return V ...
---@nodiscard
function table.unpack(list, from, to) end

---@class utf8lib
---@field charpattern string The pattern of one letter.
utf8 = {}

---The text of some letters, by their numbers.
---@param ... integer
---@return string
---@nodiscard
function utf8.char(...) end

---The numbers of the letters from one byte to another.
---@param s string
---@param from? integer
---@param to? integer
---@param lax? boolean
---@return integer ...
---@nodiscard
function utf8.codepoint(s, from, to, lax) end

---Goes through the letters of a text: where each begins, and its number.
---@param s string
---@param lax? boolean
---@return fun(s: string, at: integer): integer, integer
---@return string
---@return integer
---@nodiscard
function utf8.codes(s, lax) end

---How many letters there are; nothing and a place where it is not UTF-8.
---@param s string
---@param from? integer
---@param to? integer
---@param lax? boolean
---@return integer?
---@return integer? mistaken
---@nodiscard
function utf8.len(s, from, to, lax) end

---Where the letter begins that is `n` letters on.
---@param s string
---@param n integer
---@param from? integer
---@return integer?
---@nodiscard
function utf8.offset(s, n, from) end
