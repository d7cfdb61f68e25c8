//! Rules that set every parameter there is, found by reflection, and what the daemon is to be asked by each.

use olvid_rules::schema::{Cardinality, Catalog, Enum, Field, Kind, Message};
use serde_json::{Map, Value as Json, json};

/// A rule as it is written, and the request that it means.
pub(crate) struct Meant {
    pub(crate) rule: Map<String, Json>,
    pub(crate) expected: Json,
}

/// Expressions as authors write them, of every construct that only some engines know.
const PATTERNS: &[&str] = &[
    "(?i)^!ping\\b",
    "",
    "(?<!a)b{2,}+",
    "é+|😀",
    "\\p{L}[^\\s&&[^x]]{1,64}$",
    "(?<word>\\w+) \\k<word>",
    "\\Q*.*\\E",
    "'it''s' # \"quoted\": [x]",
];

const TEXTS: &[&str] = &["👍", "", " blanks around ", "two\nlines", "yes", "12", "\t", "{}"];

/// One rule for each subscription with everything set that can be set at once; rounds choose other values and other
/// members of each oneof.
pub(crate) fn round(round: usize) -> Vec<Meant> {
    let mut maker = Maker { round, made: 0 };
    let subscriptions = Catalog::embedded().subscriptions().iter();
    let make = |subscription: &std::sync::Arc<olvid_rules::schema::Subscription>| {
        let (mut rule, request) = maker.message(&subscription.method.input, false);
        let name = format!("{} {round}", subscription.name);
        let spelled = if round.is_multiple_of(2) { &subscription.name } else { &subscription.documented };
        rule.insert("name".into(), name.as_str().into());
        rule.insert("subscription".into(), spelled.as_str().into());
        Meant { rule, expected: json!({ "name": name, "rpc": subscription.documented, "request": request }) }
    };
    subscriptions.map(make).collect()
}

/// How many rounds it takes for every member of every oneof to have its turn.
pub(crate) fn rounds() -> usize {
    let oneofs = Catalog::embedded().messages().flat_map(|message| &message.oneofs);
    oneofs.map(|oneof| oneof.members.len()).max().unwrap()
}

struct Maker {
    round: usize,
    made: usize,
}

impl Maker {
    /// A message as it is written, and as its class shows it.
    fn message(&mut self, plan: &Message, pattern: bool) -> (Map<String, Json>, Map<String, Json>) {
        let (mut written, mut shown) = (Map::new(), Map::new());
        for (index, field) in plan.fields.iter().enumerate() {
            let members = field.oneof.map(|oneof| &plan.oneofs[oneof].members);
            if members.is_some_and(|members| members[self.round % members.len()] != index) {
                continue;
            }
            let (author, daemon) = if field.cardinality == Cardinality::Repeated {
                let (authors, daemons): (Vec<_>, Vec<_>) = (0..=self.round).map(|_| self.value(field, pattern)).unzip();
                (authors.into(), daemons.into())
            } else {
                self.value(field, pattern)
            };
            written.insert(field.name.clone(), author);
            shown.insert(field.name.clone(), daemon);
        }
        (written, shown)
    }

    fn value(&mut self, field: &Field, pattern: bool) -> (Json, Json) {
        self.made += 1;
        let pattern = pattern || field.name.ends_with("_search");
        let alike = |value: Json| (value.clone(), value);
        match &field.kind {
            Kind::Message(plan) => {
                let (written, shown) = self.message(plan, pattern);
                (written.into(), shown.into())
            }
            Kind::Enum(plan) => self.named(plan),
            Kind::Bool => alike(self.made.is_multiple_of(2).into()),
            Kind::String if pattern => alike(PATTERNS[self.made % PATTERNS.len()].into()),
            Kind::String => alike(TEXTS[self.made % TEXTS.len()].into()),
            Kind::Uint64 => alike(self.number(field).into()),
            other => panic!("no request has a {}: {}", other.name(), field.name),
        }
    }

    /// A value by its documented name or the short form of it.
    fn named(&self, plan: &Enum) -> (Json, Json) {
        let value = &plan.values[self.made % plan.values.len()];
        let spelled = match self.made % 3 {
            0 => value.name.clone(),
            1 => value.short.clone(),
            _ => value.short.to_uppercase(),
        };
        (spelled.into(), value.name.as_str().into())
    }

    fn number(&self, field: &Field) -> u64 {
        let made = self.made as u64;
        match self.made % 4 {
            // A count that is never reached; any id.
            _ if field.name == "count" => u64::MAX - made,
            0 => u64::MAX - made,
            1 => (1 << 63) + made,
            2 => (1 << 53) + 1 + made,
            _ => made / 8,
        }
    }
}
