//! The wording of what happens to streams.

use jiff::Timestamp;
use serde_json::Value as Json;

use super::{Level, Record};
use crate::report::FeedName;

/// Rules that are named in one record; of more, the first.
const NAMED: usize = 100;

pub(super) fn opened(feeds: &[FeedName]) -> Record {
    Record::new(Level::Info, "feed_opened", format!("{} open", streams(feeds)), fields(feeds))
}

pub(super) fn lost(feeds: &[FeedName], cause: &str, retry_in: f64) -> Record {
    let message = format!("{} lost: {cause}; trying again in {retry_in:.1} s", streams(feeds));
    Record::new(Level::Warn, "feed_lost", message, fields(feeds))
}

pub(super) fn waiting(feeds: &[FeedName], cause: &str, retry_in: f64) -> Record {
    let message = format!("{} not open yet: {cause}; trying again in {retry_in:.1} s", streams(feeds));
    Record::new(Level::Warn, "feed_waiting", message, fields(feeds))
}

pub(super) fn refused(feeds: &[FeedName], cause: &str, retry_in: f64) -> Record {
    let message = format!("the daemon refuses the {}: {cause}; trying again in {retry_in:.0} s", streams(feeds));
    let mut fields = fields(feeds);
    fields.extend(feeds.first().map(|feed| ("place", Json::from(&*feed.place))));
    Record::new(Level::Error, "feed_refused", message, fields)
}

pub(super) fn completed(feeds: &[FeedName], count: u64) -> Record {
    let message = format!("completed after {count} notifications, as `count` asks");
    Record::new(Level::Info, "feed_completed", message, fields(feeds))
}

pub(super) fn gap(feeds: &[FeedName], from: Timestamp, to: Timestamp, cause: Option<&str>) -> Record {
    let why = cause.map_or_else(String::new, |cause| format!(" ({cause})"));
    let streams = if let [_] = feeds { String::new() } else { format!(" on {}", streams(feeds)) };
    let message =
        format!("nothing was heard{streams} between {from:.0} and {to:.0}; what happened then is missed{why}");
    let mut fields = fields(feeds);
    fields.extend([("from", format!("{from:.3}").into()), ("to", format!("{to:.3}").into())]);
    Record::new(Level::Warn, "gap", message, fields)
}

pub(super) fn caught_up(feeds: &[FeedName], notifications: u64) -> Record {
    let mut fields = fields(feeds);
    fields.push(("notifications", notifications.into()));
    Record::new(Level::Info, "caught_up", format!("caught up {notifications} missed notifications"), fields)
}

fn streams(feeds: &[FeedName]) -> String {
    if let [_] = feeds { "stream".to_owned() } else { format!("{} streams", feeds.len()) }
}

fn fields(feeds: &[FeedName]) -> Vec<(&'static str, Json)> {
    let rules: Vec<Json> = feeds.iter().flat_map(|feed| feed.rules.iter()).map(|name| Json::from(&**name)).collect();
    let rule = match &rules[..] {
        [only] => ("rule", only.clone()),
        all => ("rules", all.iter().take(NAMED).cloned().collect()),
    };
    let which = match feeds {
        [only] => ("subscription", Json::from(&*only.subscription)),
        all => ("streams", all.len().into()),
    };
    vec![rule, which]
}
