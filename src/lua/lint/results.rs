//! What methods of objects give, as the comments above them say: `---@return olvid.Discussion`.

use std::{collections::HashMap, sync::Arc};

use super::types::Type;
use crate::{
    lua::METHODS,
    schema::{Catalog, Message},
};

/// Types by name of method and kind of object; those of which nothing is known are left out.
pub(super) type Results = HashMap<&'static str, HashMap<&'static str, Type>>;

/// Reads the methods' file, which `cli/types` makes its documentation of.
pub(super) fn all() -> Results {
    let catalog = Catalog::embedded();
    let messages: HashMap<&str, &Arc<Message>> =
        catalog.messages().map(|message| (message.name.as_str(), message)).collect();
    let (mut results, mut kind, mut returned) = (Results::new(), "", None);
    for line in METHODS.lines() {
        if line.starts_with("---") {
            // Of several values the first is what an expression is.
            returned = returned.or_else(|| line.strip_prefix("---@return "));
            continue;
        }
        let returned = returned.take();
        if let Some((_, rest)) = line.split_once(", define = datatype(\"") {
            kind = rest.split('"').next().unwrap_or_default();
        } else if let Some(rest) = line.strip_prefix("define(\"")
            && let Some(found) = returned.and_then(|written| read(written, &messages))
        {
            let names = rest.split('"').next().unwrap_or_default().split_whitespace();
            for name in names {
                results.entry(name).or_default().insert(kind, found.clone());
            }
        }
    }
    results
}

/// A type as it is written: `olvid.Contact?`, `olvid.Attachment[]`, with what follows it.
fn read(written: &str, messages: &HashMap<&str, &Arc<Message>>) -> Option<Type> {
    let name = written.split(' ').next()?.trim_end_matches('?');
    let (name, is_list) = name.strip_suffix("[]").map_or((name, false), |name| (name, true));
    let message = messages.get(name.strip_prefix("olvid.")?)?;
    let one = Type::Object(vec![Arc::clone(message)]);
    Some(if is_list { Type::List(Box::new(one)) } else { one })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_method_gives_is_known_by_each_of_its_names() {
        let results = all();
        let shown = |kind: &str, name: &str| match results.get(name).and_then(|kinds| kinds.get(kind)) {
            Some(Type::Object(kinds)) => kinds[0].name.clone(),
            Some(Type::List(element)) => match &**element {
                Type::Object(kinds) => format!("{}[]", kinds[0].name),
                other => format!("{other:?}"),
            },
            other => format!("{other:?}"),
        };
        assert_eq!(shown("Message", "discussion"), "Discussion");
        assert_eq!(shown("Message", "get_discussion"), "Discussion");
        assert_eq!(shown("Message", "sender"), "Contact");
        assert_eq!(shown("Message", "attachments"), "Attachment[]");
        assert_eq!(shown("Message", "reply"), "Message");
        assert_eq!(shown("Message", "is_inbound"), "None");
        let named = METHODS.lines().filter(|line| line.starts_with("---@return olvid.")).count();
        assert!(results.len() >= named / 2, "{} of {named}", results.len());
    }
}
