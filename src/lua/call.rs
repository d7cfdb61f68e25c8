//! A command on its way: prepared and checked on the script's side, carried out against the daemon, one attempt.
//!
//! What a command needs follows from its shape in the catalog: a request and an answer, a stream of pages, a download, or
//! an upload with its chunks. Handles of open streams live in the script; dropping one ends the stream.

use std::{cell::RefCell, mem, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use mlua::{Table, Value};

use super::{buffers::Held, calls::Calls, convert::LuaDatum};
use crate::{
    clock::Clock,
    daemon::{CallError, Daemon, Disposition, Messages},
    schema::{
        Command, Kind, Message, Shape, Upload,
        encode::{self, Mismatch},
        wire::{self, Reader},
    },
};

/// Bytes of one piece of a file, as the published client cuts them.
const CHUNK: usize = 1_000_000;

/// Names of the upload protocol: what a file is called and how big it is.
const FILENAME: &str = "filename";
const FILE_SIZE: &str = "file_size";

/// Names that only a script uses: what is in a file, or where it is.
pub(super) const CONTENT: [&str; 2] = ["content", "path"];

/// Something a coroutine waits for.
pub(super) enum Pending {
    /// One request, one answer.
    Unary(Arc<Command>, Bytes),
    /// Opens a stream of pages and reads the first.
    Open(Arc<Command>, Bytes, PageStream),
    /// Reads the next page.
    Fetch(Arc<Command>, PageStream),
    /// Reads a stream of chunks to its end.
    Download(Arc<Command>, Bytes),
    /// Sends files.
    Upload(Arc<Command>, UploadRequest),
    /// Lets time pass.
    Sleep(Duration),
    /// Was refused here before anything was sent.
    Refused(Arc<Command>, CallError),
}

/// What came of it.
pub(super) enum Outcome {
    /// An answer, as wire bytes of the command's output.
    Answer(Arc<Command>, Bytes),
    /// A page of a stream that may have more; none at its end.
    Page(Arc<Command>, PageStream, Option<Bytes>),
    /// The content of a download.
    Content(Vec<u8>),
    /// Nothing to hand over.
    Done,
    /// It was refused here, and nothing was sent.
    Refused(CallError),
}

/// A stream of pages, shared between the script's handle, the call that reads it and the run that opened it.
#[derive(Clone, Default)]
pub(super) struct PageStream(Rc<RefCell<Pages>>);

#[derive(Default)]
enum Pages {
    /// A call is reading it, or its run is over.
    #[default]
    Away,
    Open(Box<Messages>),
    Over,
}

/// Streams that a run may have open. One that is not read to its end is open until its handle is collected.
const MOST_STREAMS: usize = 100;

/// The streams that a run opened. They end with it: a list is read where it was asked for.
#[derive(Default)]
pub(super) struct RunStreams(Vec<PageStream>);

/// Parameters of an upload and the files that follow.
pub(super) struct UploadRequest {
    metadata: Vec<u8>,
    upload: Upload,
    files: Vec<Bytes>,
}

impl Pending {
    /// Checks a command's arguments and makes the request.
    pub(super) fn prepare(
        command: &Arc<Command>,
        arguments: Value,
        read_file: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, Vec<Mismatch>> {
        let input = &command.method.input;
        let request = |value: Value| encode::encode(input, &LuaDatum(value), None).map(Bytes::from);
        Ok(match &command.shape {
            Shape::Unary(_) => Self::Unary(Arc::clone(command), request(arguments)?),
            Shape::List(_) | Shape::Pages => {
                Self::Open(Arc::clone(command), request(arguments)?, PageStream::default())
            }
            Shape::Download(_) => Self::Download(Arc::clone(command), request(arguments)?),
            Shape::Upload(upload, _) => {
                let upload = UploadRequest::prepare(input, *upload, &arguments, read_file)?;
                Self::Upload(Arc::clone(command), upload)
            }
        })
    }

    /// The command it carries out; none for what needs no daemon.
    pub(super) fn command(&self) -> Option<&Arc<Command>> {
        match self {
            Self::Unary(command, _)
            | Self::Open(command, ..)
            | Self::Fetch(command, _)
            | Self::Download(command, _)
            | Self::Upload(command, _)
            | Self::Refused(command, _) => Some(command),
            Self::Sleep(_) => None,
        }
    }

    /// The command that it begins: none for what needs no daemon, and for a further page.
    pub(super) fn begins(&self) -> Option<&Arc<Command>> {
        self.command().filter(|_| !matches!(self, Self::Fetch(..) | Self::Refused(..)))
    }

    /// The request, or the parameters of an upload, with their type.
    pub(super) fn request(&self) -> Option<(&Message, &[u8])> {
        match self {
            Self::Unary(command, request) | Self::Open(command, request, _) | Self::Download(command, request) => {
                Some((&command.method.input, request))
            }
            Self::Upload(command, request) => match &command.method.input.fields[request.upload.metadata].kind {
                Kind::Message(plan) => Some((plan, &request.metadata)),
                _ => None,
            },
            Self::Fetch(..) | Self::Sleep(_) | Self::Refused(..) => None,
        }
    }

    /// Carries it out; what a download brings is held, too.
    pub(super) async fn carry_out(
        self,
        daemon: Option<Daemon>,
        held: &Held,
        clock: &Clock,
        calls: &Calls,
    ) -> Result<Outcome, CallError> {
        match self {
            Self::Sleep(duration) => {
                clock.sleep_until(clock.instant() + duration).await;
                return Ok(Outcome::Done);
            }
            Self::Refused(_, refusal) => return Ok(Outcome::Refused(refusal)),
            _ => {}
        }
        let daemon = daemon.ok_or_else(|| CallError::unavailable("there is no daemon here"))?;
        // Of a list, the first page is counted.
        let call = self.begins().map(|command| calls.begin(command));
        let outcome = self.send(&daemon, held).await;
        if let Some(call) = call {
            call.end(outcome.as_ref().map_or_else(|error| error.code, |_| "OK"));
        }
        outcome
    }

    /// Each of the futures in it stands in a box: it has kilobytes, which each `await` on the way would move once more, and
    /// the largest is not to be paid for by all.
    async fn send(self, daemon: &Daemon, held: &Held) -> Result<Outcome, CallError> {
        match self {
            Self::Unary(command, request) => {
                let answer = Box::pin(daemon.unary(&command.method, command.admin, request)).await?;
                Ok(Outcome::Answer(command, answer))
            }
            Self::Open(command, request, stream) => {
                let opened = Box::pin(daemon.pages(&command.method, command.admin, request)).await;
                Box::pin(next_page(command, stream, opened.map(Box::new))).await
            }
            Self::Fetch(command, stream) => match stream.take()? {
                Some(messages) => Box::pin(next_page(command, stream, Ok(messages))).await,
                None => Ok(Outcome::Page(command, stream, None)),
            },
            Self::Download(command, request) => {
                let messages = Box::pin(daemon.pages(&command.method, command.admin, request)).await?;
                Box::pin(download(&command.method.output, messages, held)).await.map(Outcome::Content)
            }
            Self::Upload(command, request) if request.files.iter().any(|file| daemon.is_key_in(file)) => {
                let name = &command.name;
                Err(CallError::invalid(format!("a file that {name} was to send holds a key of this host")))
            }
            Self::Upload(command, request) => {
                let requests = stream::iter(request.messages(&command.method.input));
                let answer = Box::pin(daemon.upload(&command.method, command.admin, requests)).await?;
                Ok(Outcome::Answer(command, answer))
            }
            Self::Sleep(_) | Self::Refused(..) => Ok(Outcome::Done),
        }
    }
}

async fn next_page(
    command: Arc<Command>,
    stream: PageStream,
    messages: Result<Box<Messages>, CallError>,
) -> Result<Outcome, CallError> {
    let read = async {
        let mut messages = messages?;
        Ok((messages.next().await?, messages))
    };
    let (page, pages) = match read.await {
        Ok((Some(page), messages)) => (Ok(Some(page)), Pages::Open(messages)),
        Ok((None, _)) => (Ok(None), Pages::Over),
        Err(error) => (Err(error), Pages::Over),
    };
    *stream.0.borrow_mut() = pages;
    Ok(Outcome::Page(command, stream, page?))
}

impl PageStream {
    /// Nobody reads on.
    pub(super) fn close(&self) {
        *self.0.borrow_mut() = Pages::Over;
    }

    /// Takes it for reading; none at its end.
    fn take(&self) -> Result<Option<Box<Messages>>, CallError> {
        let mut pages = self.0.borrow_mut();
        match mem::take(&mut *pages) {
            Pages::Open(messages) => Ok(Some(messages)),
            Pages::Over => {
                *pages = Pages::Over;
                Ok(None)
            }
            Pages::Away => {
                let message = "the run that asked for this list is over, or is reading it";
                Err(CallError::new("CANCELLED", message, Disposition::Permanent))
            }
        }
    }
}

impl RunStreams {
    /// Remembers what a call opens, and forgets what is over. A call that would open too many is refused.
    pub(super) fn watch(&mut self, pending: Pending) -> Pending {
        let Pending::Open(command, _, stream) = &pending else { return pending };
        self.0.retain(|stream| !matches!(*stream.0.borrow(), Pages::Over));
        if self.0.len() >= MOST_STREAMS {
            let message = format!("the run has {MOST_STREAMS} lists open: read them to their end, in a `for` loop");
            let refusal = CallError::new("RESOURCE_EXHAUSTED", message, Disposition::Slower);
            return Pending::Refused(Arc::clone(command), refusal);
        }
        self.0.push(stream.clone());
        pending
    }
}

impl Drop for RunStreams {
    fn drop(&mut self) {
        for stream in &self.0 {
            let mut pages = stream.0.borrow_mut();
            if matches!(*pages, Pages::Open(_)) {
                *pages = Pages::Away;
            }
        }
    }
}

async fn download(output: &Message, mut messages: Messages, held: &Held) -> Result<Vec<u8>, CallError> {
    let mut content = Vec::new();
    while let Some(message) = messages.next().await? {
        let mut reader = Reader::new(output, &message);
        while let Some((_, value)) = reader.advance().map_err(|error| CallError::internal(error.to_string()))? {
            if let wire::Value::Bytes(chunk) = value {
                held.add(chunk.len())?;
                content.extend_from_slice(chunk);
            }
        }
    }
    Ok(content)
}

impl UploadRequest {
    /// Takes the contents out of the arguments; what remains, with sizes filled in, is the metadata.
    fn prepare(
        input: &Message,
        upload: Upload,
        arguments: &Value,
        read_file: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    ) -> Result<Self, Vec<Mismatch>> {
        let Kind::Message(metadata) = &input.fields[upload.metadata].kind else {
            return Err(vec![mistake("this upload has no metadata".to_owned())]);
        };
        let Value::Table(arguments) = arguments else {
            return Err(vec![mistake("expected a table of fields".to_owned())]);
        };
        let copy = shallow_copy(arguments)?;
        let mut files = Vec::new();
        if upload.delimiter.is_some() {
            let list = metadata.fields.iter().find(|field| is_file(&field.kind)).map(|field| field.name.as_str());
            let list = list.ok_or_else(|| vec![mistake("this upload has no list of files".to_owned())])?;
            let given: Value = copy.raw_get(list).map_err(lua_mistake)?;
            if let Value::Table(given) = given {
                let described = shallow_copy(&given)?;
                for at in 1..=given.raw_len() {
                    let file: Value = given.raw_get(at).map_err(lua_mistake)?;
                    let Value::Table(file) = file else {
                        return Err(vec![mistake(format!(
                            "{list}[{at}]: expected a table such as {{ {FILENAME}=…, content=… }}"
                        ))]);
                    };
                    let file = shallow_copy(&file)?;
                    files.push(take_content(&file, &format!("{list}[{at}]: "), read_file)?);
                    described.raw_set(at, file).map_err(lua_mistake)?;
                }
                copy.raw_set(list, described).map_err(lua_mistake)?;
            }
        } else {
            files.push(take_content(&copy, "", read_file)?);
        }
        let metadata = encode::encode(metadata, &LuaDatum(Value::Table(copy)), None)?;
        Ok(Self { metadata, upload, files })
    }

    /// The requests in the order of the protocol: metadata, then each file's pieces, with a mark behind each where
    /// several may follow.
    fn messages(self, input: &Message) -> impl Iterator<Item = Bytes> + Send + use<> {
        let number = |index: usize| input.fields[index].number;
        let (metadata, payload) = (number(self.upload.metadata), number(self.upload.payload));
        let delimiter = self.upload.delimiter.map(number);
        let first = wrapped(metadata, &self.metadata);
        let rest = self.files.into_iter().flat_map(move |file| {
            let pieces = file.len().div_ceil(CHUNK);
            let chunks = (0..pieces).map(move |at| {
                let end = file.len().min((at + 1) * CHUNK);
                wrapped(payload, &file[at * CHUNK..end])
            });
            chunks.chain(delimiter.map(|number| {
                let mut mark = Vec::new();
                encode::put_number(number, 1, &mut mark);
                Bytes::from(mark)
            }))
        });
        std::iter::once(first).chain(rest)
    }
}

/// Whether a field is the list of files of an upload.
fn is_file(kind: &Kind) -> bool {
    matches!(kind, Kind::Message(message) if message.index_of(FILE_SIZE).is_some())
}

/// Takes `content` or `path` out of a file's table and fills in its size and, from a path, its name.
fn take_content(
    file: &Table,
    prefix: &str,
    read_file: &dyn Fn(&str) -> Result<Vec<u8>, String>,
) -> Result<Bytes, Vec<Mismatch>> {
    let take = |key: &str| -> Result<Value, Vec<Mismatch>> {
        let value = file.raw_get(key).map_err(lua_mistake)?;
        file.raw_set(key, Value::Nil).map_err(lua_mistake)?;
        Ok(value)
    };
    let wrong = |message: &str| vec![mistake(format!("{prefix}{message}"))];
    let [content, path] = CONTENT;
    let content = match (take(content)?, take(path)?) {
        (Value::String(content), Value::Nil) => Bytes::from(content.as_bytes().to_vec()),
        (Value::Nil, Value::String(path)) => {
            let path = path.to_string_lossy();
            if file.raw_get::<Value>(FILENAME).map_err(lua_mistake)?.is_nil() {
                let name = path.rsplit('/').next().unwrap_or(&path);
                file.raw_set(FILENAME, name).map_err(lua_mistake)?;
            }
            Bytes::from(read_file(&path).map_err(|error| wrong(&error))?)
        }
        (Value::Nil, Value::Nil) => return Err(wrong("give the file's `content` or its `path`")),
        (Value::String(_), Value::String(_)) => {
            return Err(wrong("`content` and `path` exclude each other"));
        }
        _ => return Err(wrong("`content` and `path` are strings")),
    };
    if file.raw_get::<Value>(FILENAME).map_err(lua_mistake)?.is_nil() {
        return Err(wrong("give the file a `filename`"));
    }
    file.raw_set(FILE_SIZE, content.len()).map_err(lua_mistake)?;
    Ok(content)
}

fn shallow_copy(table: &Table) -> Result<Table, Vec<Mismatch>> {
    let lua = table.weak_lua().upgrade();
    let copy = lua.create_table().map_err(lua_mistake)?;
    for pair in table.pairs::<Value, Value>() {
        let (key, value) = pair.map_err(lua_mistake)?;
        copy.raw_set(key, value).map_err(lua_mistake)?;
    }
    Ok(copy)
}

fn mistake(message: String) -> Mismatch {
    Mismatch { path: Vec::new(), at_key: false, code: "wrong-type", message, help: None, related: None }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that `map_err` wants")]
fn lua_mistake(error: mlua::Error) -> Vec<Mismatch> {
    vec![mistake(error.to_string())]
}

fn wrapped(number: u32, bytes: &[u8]) -> Bytes {
    let mut message = Vec::with_capacity(bytes.len() + 8);
    encode::put_bytes(number, bytes, &mut message);
    Bytes::from(message)
}

#[cfg(test)]
mod tests {
    use super::{super::buffers::Buffers, *};

    #[test]
    fn a_call_under_way_takes_little_beside_what_carries_it_out() {
        let (held, clock, calls) = (Buffers::new(0).hold(), Clock::system(), Calls::default());
        let call = Pending::Sleep(Duration::ZERO).carry_out(None, &held, &clock, &calls);
        assert!(size_of_val(&call) < 1024, "{} bytes", size_of_val(&call));
    }
}
