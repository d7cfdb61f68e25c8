//! How an upload's arguments differ from its messages: a file is given with its content, and its size is counted.

use crate::schema::{Cardinality, Field, Kind, Message, Upload};

use super::{
    layout::Row,
    types::{row, rows},
};

/// Where an upload's metadata describes the files.
#[derive(Debug)]
pub(in crate::cli) struct Files<'c> {
    /// What is sent first.
    pub(in crate::cli) metadata: &'c Message,
    /// The list of files, where several may follow.
    pub(in crate::cli) list: Option<&'c Field>,
    /// A file's name.
    pub(in crate::cli) filename: &'c Field,
    /// A file's size, which nobody has to count.
    pub(super) size: &'c Field,
}

impl<'c> Files<'c> {
    /// Finds them: a file's text is its name, the last integer its size.
    pub(in crate::cli) fn of(input: &'c Message, upload: Upload) -> Option<Self> {
        let Kind::Message(metadata) = &input.fields[upload.metadata].kind else { return None };
        let listed = metadata.fields.iter().find_map(|field| match &field.kind {
            Kind::Message(file) if field.cardinality == Cardinality::Repeated => Some((field, &**file)),
            _ => None,
        });
        let (list, file) = match (upload.delimiter, listed) {
            (Some(_), Some((list, file))) => (Some(list), file),
            _ => (None, &**metadata),
        };
        let filename = file.fields.iter().find(|field| matches!(field.kind, Kind::String))?;
        let size = file.fields.iter().rfind(|field| matches!(field.kind, Kind::Uint64))?;
        Some(Self { metadata, list, filename, size })
    }

    /// Whether a field of the metadata is given with the files rather than by itself.
    pub(in crate::cli) fn hides(&self, field: &Field) -> bool {
        let given = |known: &Field| std::ptr::eq(known, field);
        self.list.is_some_and(given) || given(self.filename) || given(self.size)
    }

    /// The fields of the metadata that are given by themselves.
    pub(in crate::cli) fn own(&self) -> impl Iterator<Item = &'c Field> {
        self.metadata.fields.iter().filter(|field| !self.hides(field))
    }

    /// The arguments as rows.
    pub(super) fn rows(&self) -> Vec<Row> {
        let content =
            |depth, doc: &str| Row { depth, name: "content".to_owned(), kind: "bytes".to_owned(), doc: doc.to_owned() };
        let mut all = rows(self.metadata);
        all.retain(|row| self.metadata.field(&row.name).is_none_or(|field| !self.hides(field)));
        match self.list {
            None => all.extend([row(0, self.filename), content(0, "All bytes of the file.")]),
            Some(list) => {
                let doc = format!("{} Each is a table of:", list.doc);
                all.push(Row { name: list.name.clone(), kind: "list".to_owned(), doc, ..Row::default() });
                all.push(row(1, self.filename));
                all.push(content(1, "All bytes of the file; or instead of it:"));
                let doc = "A file to read, which gives its name too unless one is given.".to_owned();
                all.push(Row { depth: 1, name: "path".to_owned(), kind: "string".to_owned(), doc });
            }
        }
        all
    }
}
