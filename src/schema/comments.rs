//! What the proto files say of what is in them: the documentation of the catalog.

use std::collections::HashMap;

use prost_reflect::{
    prost::{DecodeError, Message as _},
    prost_types::FileDescriptorSet,
};

/// A descriptor set that has comments and nothing else, from `build.rs`.
static COMMENTS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/comments.bin"));

/// The comment in front of each thing, by file and by path in it.
#[derive(Default)]
pub(super) struct Comments(HashMap<String, HashMap<Vec<i32>, String>>);

impl Comments {
    /// Those of the embedded descriptors, one space of indentation removed from each line.
    pub(super) fn embedded() -> Result<Self, DecodeError> {
        let mut found = Self::default();
        for file in FileDescriptorSet::decode(COMMENTS)?.file {
            let of_file = found.0.entry(file.name().to_owned()).or_default();
            for location in file.source_code_info.unwrap_or_default().location {
                let lines = location.leading_comments().lines();
                let lines: Vec<_> = lines.map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end()).collect();
                let text = lines.join("\n").trim_end().to_owned();
                of_file.insert(location.path, text);
            }
        }
        Ok(found)
    }

    /// Takes out what is said of one thing; nothing where nothing is.
    pub(super) fn take(&mut self, file: &str, path: &[i32]) -> String {
        self.0.get_mut(file).and_then(|of_file| of_file.remove(path)).unwrap_or_default()
    }
}

/// Splits the closing `Errors:` lines of an RPC's comment from its text. A line that names no code continues the last.
pub(super) fn split_errors(comment: &str) -> (String, Vec<(String, String)>) {
    let Some((doc, listed)) = comment.split_once("Errors:") else { return (comment.to_owned(), Vec::new()) };
    let mut errors: Vec<(String, String)> = Vec::new();
    for line in listed.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let code = line.split_once(": ").filter(|(code, _)| code.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
        match (code, errors.last_mut()) {
            (Some((code, reason)), _) => errors.push((code.to_owned(), reason.to_owned())),
            (None, Some((_, reason))) => reason.extend([" ", line]),
            (None, None) => {}
        }
    }
    (doc.trim_end().to_owned(), errors)
}
