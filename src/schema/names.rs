//! Names: the two spellings of an RPC, and the nearest known name to a mistaken one.

/// Turns `MessageReceived` into `message_received`.
pub fn snake_case(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    for (at, letter) in camel.char_indices() {
        if letter.is_ascii_uppercase() && at > 0 {
            out.push('_');
        }
        out.push(letter.to_ascii_lowercase());
    }
    out
}

/// Returns the candidate that `typed` most likely meant, or none when nothing is near.
///
/// Near means: equal but for case, `-` and `_`; or within a third of its length in edits, transpositions counting one.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Longer than any name: a comparison takes time in proportion to both lengths.
    if typed.len() > 200 {
        return None;
    }
    let fold = |name: &str| name.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = fold(typed);
    let allowed = (wanted.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&wanted, &fold(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rpc_names_become_snake_case() {
        assert_eq!(snake_case("MessageReactionUpdated"), "message_reaction_updated");
        assert_eq!(snake_case("Ping"), "ping");
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_name_and_nonsense_finds_none() {
        let known = ["discussion_id", "body", "filter"];
        assert_eq!(nearest("discusion_id", known), Some("discussion_id"));
        assert_eq!(nearest("Discussion-ID", known), Some("discussion_id"));
        assert_eq!(nearest("fitler", known), Some("filter"));
        assert_eq!(nearest("zzz", known), None);
    }
}
