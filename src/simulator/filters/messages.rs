//! What the filters of messages, reactions and attachments mean.

use tonic::Status;

use super::{Test, compiled, found};
use crate::simulator::proto::data::{
    self, attachment_filter::FileType, message_filter::Attachment, message_filter::Location, message_filter::Reaction,
    message_filter::Reply, message_location::LocationType, reaction_filter::ReactedBy,
};

/// The media type of a link preview.
pub(in crate::simulator) const LINK_PREVIEW: &str = "olvid/link-preview";

/// Compiles a filter of messages.
pub(in crate::simulator) fn message(filter: data::MessageFilter) -> Result<Test<data::Message>, Status> {
    let mut test = Test::<data::Message>::default();
    test.choice(filter.r#type, |message, kind| message.id.is_some_and(|id| id.r#type == kind));
    test.given(filter.discussion_id, |message, id| message.discussion_id == *id);
    test.given(filter.sender_contact_id, |message, id| message.sender_id == *id);
    test.search(filter.body_search, |message| &message.body)?;
    test.choice(filter.attachment, |message, choice| {
        (message.attachments_count > 0) == (choice == Attachment::Have as i32)
    });
    test.choice(filter.location, |message, choice| located(message.message_location.as_ref(), choice));
    test.given(filter.min_timestamp, |message, bound| message.timestamp >= *bound);
    test.given(filter.max_timestamp, |message, bound| message.timestamp <= *bound);
    test.choice(filter.has_reaction, |message, choice| {
        message.reactions.is_empty() != (choice == Reaction::Has as i32)
    });
    for each in filter.reaction_filters {
        let one = reaction(each);
        test.when(move |message| message.reactions.iter().any(|reaction| one.accepts(reaction)));
    }
    match filter.reply {
        Some(Reply::ReplyToAMessage(true)) => test.when(|message| message.replied_message_id.is_some()),
        Some(Reply::DoNotReplyToAMessage(true)) => test.when(|message| message.replied_message_id.is_none()),
        Some(Reply::RepliedMessageId(id)) => test.when(move |message| message.replied_message_id == Some(id)),
        // `false` says nothing about what is wanted.
        Some(Reply::ReplyToAMessage(false) | Reply::DoNotReplyToAMessage(false)) | None => {}
    }
    Ok(test)
}

fn located(location: Option<&data::MessageLocation>, choice: i32) -> bool {
    let kind = location.map(data::MessageLocation::r#type);
    match Location::try_from(choice) {
        Ok(Location::Have) => kind.is_some(),
        Ok(Location::HaveNot) => kind.is_none(),
        Ok(Location::IsSend) => kind == Some(LocationType::Send),
        Ok(Location::IsSharing) => kind == Some(LocationType::Sharing),
        Ok(Location::IsSharingFinished) => kind == Some(LocationType::SharingFinished),
        Ok(Location::Unspecified) | Err(_) => true,
    }
}

/// Compiles a filter of reactions.
pub(super) fn reaction(filter: data::ReactionFilter) -> Test<data::MessageReaction> {
    let mut test = Test::<data::MessageReaction>::default();
    match filter.reacted_by {
        Some(ReactedBy::ReactedByMe(true)) => test.when(|reaction| reaction.contact_id == 0),
        Some(ReactedBy::ReactedByContactId(id)) => test.when(move |reaction| reaction.contact_id == id),
        Some(ReactedBy::ReactedByMe(false)) | None => {}
    }
    test.given(filter.reaction, |reaction, wanted| reaction.reaction == *wanted);
    test
}

/// Compiles a filter of attachments.
pub(in crate::simulator) fn attachment(filter: data::AttachmentFilter) -> Result<Test<data::Attachment>, Status> {
    let mut test = Test::<data::Attachment>::default();
    test.choice(filter.r#type, |attachment, kind| attachment.id.is_some_and(|id| id.r#type == kind));
    if let Some(pattern) = filter.file_type.and_then(|kind| FileType::try_from(kind).ok()).and_then(media_pattern) {
        let pattern = compiled(pattern)?;
        test.when(move |attachment| found(&pattern, &attachment.mime_type));
    }
    test.given(filter.discussion_id, |attachment, id| attachment.discussion_id == *id);
    test.given(filter.message_id, |attachment, id| attachment.message_id == Some(*id));
    test.search(filter.filename_search, |attachment| &attachment.file_name)?;
    test.search(filter.mime_type_search, |attachment| &attachment.mime_type)?;
    test.given(filter.min_size, |attachment, bound| attachment.size >= *bound);
    test.given(filter.max_size, |attachment, bound| attachment.size <= *bound);
    Ok(test)
}

fn media_pattern(kind: FileType) -> Option<&'static str> {
    debug_assert_eq!(LINK_PREVIEW, "olvid/link-preview", "the patterns below spell it out");
    match kind {
        FileType::Unspecified => None,
        FileType::Image => Some("^image/"),
        FileType::Video => Some("^video/"),
        FileType::ImageVideo => Some("^(image|video)/"),
        FileType::Audio => Some("^audio/"),
        FileType::LinkPreview => Some("^olvid/link-preview$"),
        FileType::NotLinkPreview => Some("^(?!olvid/link-preview$)"),
    }
}
