//! Files: how they come in, in pieces, and how they are had again.

use bytes::{Bytes, BytesMut};
use tonic::Status;

use super::{
    Call, Caller, MessageKey, World,
    call::Outcome,
    command::{
        AttachmentDeleteRequest, AttachmentDeleteResponse, AttachmentDownloadRequest, AttachmentDownloadResponse,
        AttachmentGetRequest, AttachmentGetResponse, AttachmentListRequest, AttachmentListResponse,
        MessageSendWithAttachmentsRequest, MessageSendWithAttachmentsResponse,
        message_send_with_attachments_request::Request, message_send_with_attachments_request_metadata as metadata,
    },
    data,
    delivery::Draft,
    invalid, message_id, message_key, named_message, not_found,
};
use crate::simulator::filters;

/// The size of the pieces of a download.
const CHUNK: usize = 1_000_000;

/// A stored file. Copies of a message share its content.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub(super) shown: data::Attachment,
    content: Bytes,
}

impl File {
    pub(super) fn new(id: MessageKey, message: MessageKey, discussion: u64, name: &str, content: Bytes) -> Self {
        let shown = data::Attachment {
            id: Some(data::AttachmentId { r#type: id.0, id: id.1 }),
            discussion_id: discussion,
            message_id: Some(message_id(message)),
            file_name: name.to_owned(),
            mime_type: media_type(name).to_owned(),
            size: content.len() as u64,
        };
        Self { shown, content }
    }
}

impl World {
    pub(super) fn attachment_command(&mut self, caller: &Caller, call: &Call<'_>) -> Option<Outcome> {
        let me = caller.identity;
        Some(match call.name {
            "attachment_list" => call.list(
                |request: AttachmentListRequest| {
                    let test = filters::attachment(request.filter.unwrap_or_default())?;
                    let files = self.own(me)?.attachments.values().map(|file| file.shown.clone());
                    Ok(files.filter(|shown| test.accepts(shown)).collect())
                },
                |attachments| AttachmentListResponse { attachments },
            ),
            "attachment_get" => call.one(|request: AttachmentGetRequest| {
                let attachment = Some(self.file(me, request.attachment_id)?.shown.clone());
                Ok(AttachmentGetResponse { attachment })
            }),
            "attachment_delete" => call.one(|request| self.attachment_delete(me, request)),
            "attachment_download" => self.attachment_download(me, call),
            _ => return None,
        })
    }

    fn file(&self, me: u64, id: Option<data::AttachmentId>) -> Result<&File, Status> {
        self.own(me)?.attachments.get(&attachment_key(id)).ok_or_else(|| not_found("Attachment"))
    }

    fn attachment_delete(
        &mut self,
        me: u64,
        request: AttachmentDeleteRequest,
    ) -> Result<AttachmentDeleteResponse, Status> {
        let own = self.own_mut(me)?;
        let file = own.attachments.remove(&attachment_key(request.attachment_id));
        let message = message_key(file.ok_or_else(|| not_found("Attachment"))?.shown.message_id);
        if let Some(letter) = own.messages.get_mut(&message) {
            letter.message.attachments_count = letter.message.attachments_count.saturating_sub(1);
        }
        Ok(AttachmentDeleteResponse {})
    }

    fn attachment_download(&self, me: u64, call: &Call<'_>) -> Outcome {
        let request: AttachmentDownloadRequest = call.request()?;
        let mut rest = self.file(me, request.attachment_id)?.content.clone();
        Ok(Box::new(std::iter::from_fn(move || {
            let chunk = rest.split_to(rest.len().min(CHUNK));
            (!chunk.is_empty())
                .then(|| prost::Message::encode_to_vec(&AttachmentDownloadResponse { chunk: chunk.into() }).into())
        })))
    }

    pub(super) fn message_send_with_attachments(
        &mut self,
        me: u64,
        frames: Vec<MessageSendWithAttachmentsRequest>,
    ) -> Result<MessageSendWithAttachmentsResponse, Status> {
        let mut frames = frames.into_iter().map(|frame| frame.request);
        let Some(Some(Request::Metadata(metadata))) = frames.next() else {
            return Err(invalid("the first message must be the metadata"));
        };
        let files = received(&metadata.files, frames)?;
        let draft = Draft {
            discussion: metadata.discussion_id,
            body: metadata.body.unwrap_or_default(),
            reply: named_message(metadata.reply_id),
            files,
            location: None,
        };
        let key = self.post(me, &draft)?;
        let own = self.own(me)?;
        let of_message = |file: &&File| message_key(file.shown.message_id) == key;
        let attachments = own.attachments.values().filter(of_message).map(|file| file.shown.clone()).collect();
        Ok(MessageSendWithAttachmentsResponse { message: Some(self.letter(me, key)?.message.clone()), attachments })
    }
}

/// Puts the pieces together: those of each announced file, in order, each file ended by a delimiter.
fn received(
    announced: &[metadata::File],
    frames: impl Iterator<Item = Option<Request>>,
) -> Result<Vec<(String, Bytes)>, Status> {
    let mut files: Vec<(String, Bytes)> = Vec::new();
    let mut content = BytesMut::new();
    for frame in frames {
        let Some(file) = announced.get(files.len()) else { return Err(invalid("more files than announced")) };
        match frame {
            Some(Request::Payload(piece)) => content.extend_from_slice(&piece),
            Some(Request::FileDelimiter(true)) if content.len() as u64 == file.file_size => {
                files.push((file.filename.clone(), content.split().freeze()));
            }
            Some(Request::FileDelimiter(true)) => {
                let (size, found) = (file.file_size, content.len());
                return Err(invalid(&format!("`{}` has {found} bytes, {size} were announced", file.filename)));
            }
            Some(Request::Metadata(_)) => return Err(invalid("the metadata must come once")),
            Some(Request::FileDelimiter(false)) | None => return Err(invalid("a message says nothing")),
        }
    }
    if files.len() < announced.len() || !content.is_empty() {
        return Err(invalid("fewer files than announced"));
    }
    for (at, file) in files.iter().enumerate() {
        if files[..at].contains(file) {
            return Err(invalid("the same file is attached twice"));
        }
    }
    Ok(files)
}

fn attachment_key(id: Option<data::AttachmentId>) -> MessageKey {
    id.map(|id| (id.r#type, id.id)).unwrap_or_default()
}

fn media_type(name: &str) -> &'static str {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "jpg" | "jpeg" => "image/jpeg",
        "png" => "image/png",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        "mp4" => "video/mp4",
        "webm" => "video/webm",
        "mov" => "video/quicktime",
        "mp3" => "audio/mpeg",
        "m4a" => "audio/mp4",
        "ogg" => "audio/ogg",
        "wav" => "audio/x-wav",
        "pdf" => "application/pdf",
        "json" => "application/json",
        "zip" => "application/zip",
        "txt" | "log" => "text/plain",
        "md" => "text/markdown",
        "csv" => "text/csv",
        "html" | "htm" => "text/html",
        _ => "application/octet-stream",
    }
}
