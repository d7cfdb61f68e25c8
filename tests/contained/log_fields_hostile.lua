-- expect: ok prints "contained"
return require "attack"(function()
  log.info("contained", {
    ["a\nb"] = "c\nd", ["\27[31m"] = "\27[31m", ["\u{202e}"] = "\u{202e}", [""] = "", ['","level":"error'] = '","x":"',
    ["\0"] = "\0", ["\u{9b}"] = { ["\n"] = "\n" },
  })
end)
