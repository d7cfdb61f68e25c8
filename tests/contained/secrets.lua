escaped: a text that is no Lua
