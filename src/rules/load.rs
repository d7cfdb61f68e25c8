//! From paths to texts: which files are rule files, and reading them without being held up or filled up.
//!
//! Knows nothing of what is in them.

use std::{
    collections::HashSet,
    fs::{self, File, Metadata},
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    inputs::{Fingerprint, Inputs},
    scan::MAX_BYTES,
};
use crate::diagnostic::{Diagnostic, Place, Source};

/// A rule file that was read.
pub(crate) struct Text {
    pub(crate) path: PathBuf,
    pub(crate) source: Arc<Source>,
}

/// Reads every rule file that the paths lead to, each once.
pub(crate) fn texts(paths: &[PathBuf], inputs: &Inputs, diagnostics: &mut Vec<Diagnostic>) -> Vec<Text> {
    let mut files = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => directory(path, &mut files, inputs, diagnostics),
            Ok(_) => files.push(path.clone()),
            Err(error) => {
                inputs.add(path, Fingerprint::failed(&error));
                diagnostics.push(unreadable(path, &error));
            }
        }
    }
    let mut seen = HashSet::new();
    files.retain(|path| {
        let kept = fs::canonicalize(path).is_ok_and(|real| seen.insert(real)) || !path.exists();
        if !kept {
            // What is the same file today may be another tomorrow.
            inputs.add(path, Fingerprint::at(path, MAX_BYTES as u64));
        }
        kept
    });
    files.into_iter().filter_map(|path| read(path, inputs, diagnostics)).collect()
}

/// The rule files of a directory, sorted.
pub(super) fn names(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
    let mut found: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(|path| is_rule_file(path)).collect();
    found.sort();
    Ok(found)
}

fn directory(path: &Path, files: &mut Vec<PathBuf>, inputs: &Inputs, diagnostics: &mut Vec<Diagnostic>) {
    let mut found = match names(path) {
        Ok(found) => found,
        Err(error) => {
            inputs.add(path, Fingerprint::failed(&error));
            return diagnostics.push(unreadable(path, &error));
        }
    };
    inputs.add(path, Fingerprint::of_names(&found));
    if found.is_empty() {
        let message = format!("no rule files in the directory `{}`", shown(path));
        let help = "a rule file is called `*.yaml` or `*.yml` and lies in the directory itself, not below it";
        diagnostics.push(Diagnostic::warning("no-rules", message).help(help));
    }
    files.append(&mut found);
}

/// Whether a file of a directory is meant: neither hidden, nor a test, nor what an editor leaves behind.
pub(super) fn is_rule_file(path: &Path) -> bool {
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else { return false };
    let stem = name.strip_suffix(".yaml").or_else(|| name.strip_suffix(".yml"));
    let named = stem.is_some_and(|stem| !stem.is_empty() && stem.strip_suffix(".test").is_none());
    named && !name.starts_with(['.', '#', '~']) && !path.is_dir()
}

fn read(path: PathBuf, inputs: &Inputs, diagnostics: &mut Vec<Diagnostic>) -> Option<Text> {
    let name = shown(&path);
    let bytes = match regular(&path).and_then(|file| limited(file, MAX_BYTES as u64)) {
        Ok(bytes) => bytes,
        Err(error) => {
            inputs.add(&path, Fingerprint::failed(&error));
            diagnostics.push(unreadable(&path, &error));
            return None;
        }
    };
    if bytes.len() > MAX_BYTES {
        inputs.add(&path, Fingerprint::Unreadable);
        let message = format!("the rule file `{name}` is bigger than {} KiB", MAX_BYTES / 1024);
        let help = "split it into several files; a directory of them can be given too";
        diagnostics.push(Diagnostic::error("file-size", message).help(help));
        return None;
    }
    inputs.add(&path, Fingerprint::of(&bytes));
    if encoding(&bytes).is_some() {
        diagnostics.push(not_utf8(name, &bytes));
        return None;
    }
    match String::from_utf8(bytes) {
        // A byte order mark is no text: columns count without it.
        Ok(mut text) => {
            if text.starts_with('\u{feff}') {
                text.remove(0);
            }
            Some(Text { path, source: Source::new(name, text) })
        }
        Err(error) => {
            diagnostics.push(not_utf8(name, &error.into_bytes()));
            None
        }
    }
}

fn not_utf8(name: String, bytes: &[u8]) -> Diagnostic {
    // Of what is ASCII in wider units, the first NUL is what is not text.
    let nul = || bytes.iter().position(|byte| *byte == 0).unwrap_or(0);
    let offset = str::from_utf8(bytes).map_or_else(|error| error.valid_up_to(), |_| nul());
    let help = encoding(bytes).map(|encoding| format!("the file seems to be {encoding}; save it as UTF-8"));
    let help = help.unwrap_or_else(|| "save the file as UTF-8".to_owned());
    // Up to here the lossy text is the file's own, so the place is right.
    let source = Source::new(name, String::from_utf8_lossy(bytes));
    let length = source.text[offset..].chars().next().map_or(0, char::len_utf8);
    let message = format!("the file is not UTF-8: byte {:#04x} at offset {offset}", bytes.get(offset).unwrap_or(&0));
    Diagnostic::error("not-utf8", message).at(Place { source, span: offset..offset + length }).help(help)
}

/// The encoding of a text that is in units wider than a byte: it begins with its byte order mark, or NULs stand where such
/// units have them, which no text in UTF-8 has.
pub(crate) fn encoding(bytes: &[u8]) -> Option<&'static str> {
    /// Bytes that are looked at: names of keys come first in any file.
    const FIRST: usize = 64;
    if bytes.starts_with(&[0xff, 0xfe, 0, 0]) || bytes.starts_with(&[0, 0, 0xfe, 0xff]) {
        return Some("UTF-32");
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Some("UTF-16");
    }
    // Most letters have them there, and none elsewhere: some may be of other scripts.
    let has = |is_nul: &[bool]| {
        let units: Vec<&[u8]> = bytes[..bytes.len().min(FIRST)].chunks_exact(is_nul.len()).collect();
        let nuls = |unit: &&&[u8]| unit.iter().map(|byte| *byte == 0).eq(is_nul.iter().copied());
        let stray = |unit: &&[u8]| unit.iter().zip(is_nul).any(|(byte, is_nul)| *byte == 0 && !is_nul);
        units.iter().filter(nuls).count() * 2 > units.len() && !units.iter().any(stray)
    };
    if has(&[false, true, true, true]) || has(&[true, true, true, false]) {
        return Some("UTF-32");
    }
    (has(&[false, true]) || has(&[true, false])).then_some("UTF-16")
}

/// Opens a file only where reading it comes to an end: not a pipe, which would wait for a writer, nor a device.
pub(super) fn regular(path: &Path) -> io::Result<File> {
    let irregular = |found: &Metadata| !found.is_file();
    if irregular(&fs::metadata(path)?) {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    if irregular(&file.metadata()?) {
        return Err(io::Error::other("it is not a regular file"));
    }
    Ok(file)
}

/// Reads one byte more than the limit at most, whatever size the file says it has.
pub(super) fn limited(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    let name = shown(path);
    let (code, message) = match error.kind() {
        io::ErrorKind::NotFound => ("file-missing", format!("there is no file or directory `{name}`")),
        _ => ("file-unreadable", format!("`{name}` cannot be read: {error}")),
    };
    let diagnostic = Diagnostic::error(code, message);
    match near(path) {
        Some(near) if error.kind() == io::ErrorKind::NotFound => diagnostic.help(format!("did you mean `{near}`?")),
        _ => diagnostic,
    }
}

/// The path beside a missing one whose name is nearest to it.
pub(crate) fn near(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let entries = fs::read_dir(folder.unwrap_or(Path::new("."))).ok()?;
    // Enough to find a slip of the finger in, whatever the directory is.
    let names: Vec<String> =
        entries.take(1000).filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    let near = crate::schema::names::nearest(name, names.iter().map(String::as_str))?;
    Some(folder.map_or_else(|| near.to_owned(), |folder| shown(&folder.join(near))))
}

pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}
