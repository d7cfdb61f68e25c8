//! Reading what is documented by hand: the globals' file, and the comments above methods.
//!
//! In both, lines with three dashes are annotations, and belong to the statement below them; a class may stand alone. In
//! the globals' file `--#` begins a section of the reference, `--|` is its prose, and `--=` names what is made elsewhere and
//! belongs there.

use std::fmt::Write as _;

use super::tables::only;
use crate::lua;

/// A part of the globals' file.
pub(super) enum Part {
    Heading(&'static str),
    Prose(&'static str),
    /// What is made elsewhere, by its name.
    Made(&'static str),
    Entry(Entry),
}

/// Annotations and the statement that they are about, if any.
#[derive(Default)]
pub(super) struct Entry {
    /// Without dashes.
    lines: Vec<&'static str>,
    statement: Option<&'static str>,
}

/// A method under all its names, the first of which is the one to use.
pub(super) struct Method {
    pub(super) kind: &'static str,
    pub(super) names: Vec<&'static str>,
    pub(super) entry: Entry,
}

/// A parameter or value, as a signature shows it.
pub(super) struct Slot {
    /// With `?` where it may be left out.
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) doc: &'static str,
}

/// Reads the globals' file.
pub(super) fn globals() -> Vec<Part> {
    let (mut parts, mut entry) = (Vec::new(), Entry::default());
    for line in lua::GLOBALS.lines() {
        if let Some(text) = line.strip_prefix("---") {
            entry.lines.push(text);
            continue;
        }
        let whole = line.is_empty() || !line.starts_with("--");
        if whole && !entry.lines.is_empty() {
            entry.statement = Some(line).filter(|line| !line.is_empty());
            parts.push(Part::Entry(std::mem::take(&mut entry)));
        } else if !line.is_empty() {
            parts.push(match line.get(..3) {
                Some("--#") => Part::Heading(line[3..].trim()),
                Some("--=") => Part::Made(line[3..].trim()),
                Some("--|") => Part::Prose(line[3..].strip_prefix(' ').unwrap_or(&line[3..])),
                _ => Part::Entry(Entry { lines: Vec::new(), statement: Some(line) }),
            });
        }
    }
    parts.extend((!entry.lines.is_empty()).then_some(Part::Entry(entry)));
    parts
}

/// Reads the methods' file: the methods in their order, and the classes that stand beside them.
pub(super) fn methods() -> (Vec<Method>, Vec<Entry>) {
    let (mut methods, mut classes) = (Vec::new(), Vec::new());
    let (mut kind, mut entry) = ("", Entry::default());
    for line in lua::METHODS.lines() {
        if let Some(text) = line.strip_prefix("---") {
            entry.lines.push(text);
            continue;
        }
        let entry = std::mem::take(&mut entry);
        if let Some((_, rest)) = line.split_once(", define = datatype(\"") {
            kind = rest.split('"').next().unwrap_or_default();
        } else if let Some(rest) = line.strip_prefix("define(\"") {
            let names = rest.split('"').next().unwrap_or_default().split_whitespace().collect();
            methods.push(Method { kind, names, entry });
        } else if entry.class().is_some() {
            classes.push(entry);
        }
    }
    (methods, classes)
}

impl Entry {
    /// What is said, without tags.
    pub(super) fn text(&self) -> String {
        let said = self.lines.iter().filter(|line| !line.starts_with('@'));
        said.copied().collect::<Vec<_>>().join(" ")
    }

    /// The class that is declared.
    pub(super) fn class(&self) -> Option<&'static str> {
        self.tags("@class").next().map(|tag| tag.split([':', ' ']).next().unwrap_or_default())
    }

    /// The class as one of tables with its keys and no others, unless there are classes of its kind, which have more.
    pub(super) fn closed(&self, all: &[Self]) -> String {
        let parent = |class: &Self| class.tags("@class").next().and_then(|tag| tag.split_once(": ")).map(|(_, of)| of);
        let Some(name) = self.class().filter(|name| !all.iter().any(|other| parent(other) == Some(name))) else {
            return self.annotations();
        };
        let inherited = all.iter().filter(|other| other.class().is_some() && other.class() == parent(self));
        let fields = inherited.chain([self]).flat_map(Self::fields);
        let keys: Vec<_> = fields.map(|field| field.name.trim_end_matches('?')).collect();
        let parents = parent(self).map_or_else(String::new, |of| format!("{of}, "));
        let mut out = String::new();
        for line in &self.lines {
            let _ = if line.starts_with("@class") {
                writeln!(out, "---@class {name}: {parents}{}", only(keys.iter().copied()))
            } else {
                writeln!(out, "---{line}")
            };
        }
        out + "\n"
    }

    /// The parameters of the function.
    pub(super) fn parameters(&self) -> Vec<Slot> {
        self.tags("@param").map(named).collect()
    }

    /// The fields of the class.
    pub(super) fn fields(&self) -> Vec<Slot> {
        self.tags("@field").map(named).collect()
    }

    /// The types of the values that are returned.
    pub(super) fn returned(&self) -> Vec<&'static str> {
        self.tags("@return").map(|tag| split_type(tag).0).collect()
    }

    /// The function or variable that is declared, with its parameters and types.
    pub(super) fn signature(&self) -> Option<String> {
        let statement = self.statement?;
        match statement.strip_prefix("function ") {
            Some(function) => Some(self.call(function.split('(').next().unwrap_or_default())),
            None => statement.split(" = ").next().map(str::to_owned),
        }
    }

    /// The signature of a function of that name.
    pub(super) fn call(&self, name: &str) -> String {
        let slots: Vec<_> = self.parameters().iter().map(|slot| format!("{}: {}", slot.name, slot.kind)).collect();
        let returned = self.returned().join(", ");
        let arrow = if returned.is_empty() { "" } else { ": " };
        format!("{name}({}){arrow}{returned}", slots.join(", "))
    }

    /// The entry as a language server reads it.
    pub(super) fn annotations(&self) -> String {
        let mut out = String::new();
        for line in &self.lines {
            let _ = writeln!(out, "---{line}");
        }
        out.extend(self.statement.map(|statement| format!("{statement}\n")));
        out + "\n"
    }

    fn tags(&self, tag: &'static str) -> impl Iterator<Item = &'static str> {
        self.lines.iter().filter_map(move |line| line.strip_prefix(tag)?.strip_prefix(' '))
    }
}

impl Method {
    /// The method of a class's variable, under each of its names.
    pub(super) fn annotations(&self, variable: &str) -> String {
        let mut out = String::new();
        let parameters: Vec<_> = self.entry.parameters().iter().map(|slot| slot.name.trim_end_matches('?')).collect();
        for name in &self.names {
            let first = self.names[0];
            for line in &self.entry.lines {
                let _ = writeln!(out, "---{line}");
            }
            if *name != first {
                let _ = writeln!(out, "---\n---The same as `{first}`, as the published client calls it.");
            }
            let _ = writeln!(out, "function {variable}:{name}({}) end\n", parameters.join(", "));
        }
        out
    }
}

fn named(tag: &'static str) -> Slot {
    let (name, rest) = tag.split_once(' ').unwrap_or((tag, ""));
    let (kind, doc) = split_type(rest);
    Slot { name, kind, doc }
}

/// Splits a type from what follows it. Blanks within brackets and behind `:`, `,` and `|` belong to it.
fn split_type(text: &'static str) -> (&'static str, &'static str) {
    let (mut depth, mut before) = (0_i32, ' ');
    for (at, letter) in text.char_indices() {
        match letter {
            '<' | '(' | '[' | '{' => depth += 1,
            '>' | ')' | ']' | '}' => depth -= 1,
            ' ' if depth == 0 && ![':', ',', '|'].contains(&before) => return (&text[..at], text[at..].trim_start()),
            _ => {}
        }
        before = letter;
    }
    (text, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_ends_where_its_words_do() {
        for (text, kind, doc) in [
            ("string The text.", "string", "The text."),
            ("table<string, any>", "table<string, any>", ""),
            ("fun(a: T, b?: T): boolean, any x", "fun(a: T, b?: T): boolean, any", "x"),
            ("(string|olvid.File)[] Files.", "(string|olvid.File)[]", "Files."),
        ] {
            assert_eq!(split_type(text), (kind, doc));
        }
    }

    #[test]
    fn every_method_is_documented_with_the_parameters_it_takes() {
        let (methods, classes) = methods();
        assert!(methods.len() > 50 && classes.len() >= 5, "{} {}", methods.len(), classes.len());
        let defined = lua::METHODS.lines().filter(|line| line.starts_with("define(\""));
        for (method, line) in methods.iter().zip(defined) {
            let (name, (_, rest)) = (method.names[0], line.split_once("function(self").unwrap());
            assert!(!method.entry.text().is_empty(), "{}:{name}", method.kind);
            // A text or options come as `...`: both are documented.
            let taken =
                rest.split(')').next().unwrap().split(", ").skip(1).filter(|name| !["method", "extra"].contains(name));
            let count: usize = taken.map(|name| if name == "..." { 2 } else { 1 }).sum();
            assert_eq!(method.entry.parameters().len(), count, "{}:{name}", method.kind);
        }
    }
}
