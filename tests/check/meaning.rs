//! What is written is what the daemon is asked for.

use std::{collections::BTreeSet, fmt::Write, path::Path, time::Duration};

use olvid_rules::{
    rules::{Handler, Order},
    schema::{Catalog, Kind, Message, Subscription, json},
};
use serde_json::Value as Json;
use serde_yaml::Value as Yaml;

use crate::load;

const EVERYTHING: &str = "tests/check/valid_every_parameter.yaml";

/// Every way to a field of a message, lists and messages walked into.
fn ways(plan: &Message, way: &str, found: &mut BTreeSet<String>) {
    for field in &plan.fields {
        let way = format!("{way}.{}", field.name);
        if let Kind::Message(inner) = &field.kind {
            ways(inner, &way, found);
        }
        found.insert(way);
    }
}

/// Every way to a value that is written, and whether it is what was decoded there.
fn compare(plan: &Message, written: &Yaml, decoded: &Json, way: &str, found: &mut BTreeSet<String>) {
    for (name, value) in written.as_mapping().unwrap() {
        let name = name.as_str().unwrap();
        let way = format!("{way}.{name}");
        let field = plan.field(name).unwrap_or_else(|| panic!("{way}"));
        let got = &decoded[name];
        let (values, got): (Vec<&Yaml>, Vec<&Json>) = match value {
            Yaml::Sequence(items) => (items.iter().collect(), got.as_array().unwrap().iter().collect()),
            one => (vec![one], vec![got]),
        };
        assert_eq!(values.len(), got.len(), "{way}");
        for (value, got) in values.into_iter().zip(got) {
            match &field.kind {
                Kind::Message(inner) => compare(inner, value, got, &way, found),
                Kind::Enum(plan) => {
                    let number = plan.parse(value.as_str().unwrap()).unwrap();
                    assert_eq!(plan.name_of(number), got.as_str(), "{way}");
                }
                _ => assert_eq!(&serde_json::to_value(value).unwrap(), got, "{way}"),
            }
        }
        found.insert(way);
    }
}

fn parameters(rule: &Yaml) -> Yaml {
    let keys = ["name", "subscription", "handler"];
    let entries = rule.as_mapping().unwrap().clone();
    entries
        .into_iter()
        .filter(|(key, _)| !keys.contains(&key.as_str().unwrap()))
        .collect::<serde_yaml::Mapping>()
        .into()
}

#[test]
fn every_parameter_of_every_subscription_is_sent_as_it_is_written() {
    let (set, diagnostics) = load(Path::new(EVERYTHING));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let text = std::fs::read_to_string(EVERYTHING).unwrap();
    let written: Yaml = serde_yaml::from_str(&text).unwrap();
    let written = written["rules"].as_sequence().unwrap();
    assert_eq!(written.len(), set.rules.len());
    let mut seen = BTreeSet::new();
    for subscription in Catalog::embedded().subscriptions() {
        let plan = &subscription.method.input;
        let (mut wanted, mut found) = (BTreeSet::new(), BTreeSet::new());
        ways(plan, "", &mut wanted);
        for (rule, written) in set.rules.iter().zip(written) {
            if rule.subscription.name != subscription.name {
                continue;
            }
            let decoded = json::from_wire(plan, &rule.request).unwrap();
            compare(plan, &parameters(written), &decoded, "", &mut found);
            assert_eq!(rule.count, written["count"].as_u64(), "{}", rule.name);
            seen.insert(rule.subscription.name.clone());
        }
        assert_eq!(wanted, found, "{}", subscription.name);
    }
    assert_eq!(seen.len(), 46);
    // Both spellings of values and the greatest integers are in it, so that the above says something about them.
    for spelled in ["TYPE_INBOUND", "type: outbound", "18446744073709551615", "has_not"] {
        assert!(text.contains(spelled), "{spelled}");
    }
}

#[test]
fn equal_parameters_are_equal_bytes_whatever_their_order_or_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    let rule = |name: &str, parameters: &str| {
        format!("  - {{ name: {name}, subscription: group_deleted, lua: return, {parameters} }}\n")
    };
    let text = [
        "rules:\n".to_owned(),
        rule("a", "group_ids: [1, 2], group_filter: { type: standard, name_search: x }"),
        rule("b", "filter: { name_search: x, type: TYPE_STANDARD }, group_ids: [1, 2]"),
        rule("c", "group_ids: [1, 2]"),
        rule("d", "count: 0"),
        rule("e", "count: 18446744073709551615"),
    ];
    std::fs::write(&path, text.concat()).unwrap();
    let (set, diagnostics) = load(&path);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let [written, aliased, unfiltered, zero, greatest] = &*set.rules else { panic!("{}", set.rules.len()) };
    assert_eq!(written.request, aliased.request);
    assert_ne!(written.request, unfiltered.request);
    assert_eq!((zero.count, greatest.count, unfiltered.count), (None, Some(u64::MAX), None));
}

#[test]
fn the_documented_example_means_what_the_documentation_says() {
    let (set, diagnostics) = load(Path::new("tests/check/valid_documented.yaml"));
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    let [ping, renames, inline] = &*set.rules else { panic!("{}", set.rules.len()) };
    assert_eq!(ping.subscription.name, "message_received");
    assert_eq!((ping.limits.timeout, ping.concurrency, ping.order), (Duration::from_secs(30), 16, Order::Discussion));
    assert!(ping.enabled && ping.description.is_none() && ping.place.display().ends_with("valid_documented.yaml:2:11"));
    let Handler::Script { path, function, place } = &renames.handler else { panic!("{:?}", renames.handler) };
    assert_eq!(path, Path::new("tests/check/scripts/groups.lua"));
    assert_eq!(function.as_deref(), Some("on_rename"));
    assert_eq!(place.source.position(place.span.start), (13, 14));
    assert_eq!((renames.count, renames.description.as_deref()), (Some(10), Some("free text")));
    let Handler::Inline { code, line, place } = &inline.handler else { panic!("{:?}", inline.handler) };
    assert!(code.starts_with("local notification") && code.ends_with("}\n)\n") | code.ends_with(")\n"), "{code}");
    assert_eq!((*line, place.source.position(place.span.start)), (22, (22, 7)));
}

#[test]
fn the_keys_of_a_rule_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    let rules = [("500ms", 500), ("2m", 120_000), ("1h", 3_600_000), ("7", 7000), ("24h", 86_400_000), ("5 s", 5000)];
    let mut text = "rules:\n".to_owned();
    for (timeout, _) in rules {
        _ = writeln!(
            text,
            "  - {{ name: \"t {timeout}\", subscription: ContactNew, lua: return, timeout: {timeout}, order: rule, \
             enabled: false, concurrency: 10000, description: d }}"
        );
    }
    std::fs::write(&path, text).unwrap();
    let (set, diagnostics) = load(&path);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert_eq!(set.rules.len(), rules.len());
    for (rule, (_, milliseconds)) in set.rules.iter().zip(rules) {
        assert_eq!(rule.limits.timeout, Duration::from_millis(milliseconds));
        assert_eq!((rule.order, rule.enabled, rule.concurrency), (Order::Rule, false, 10_000));
    }
}

#[test]
fn no_parameter_is_called_as_a_key_of_a_rule() {
    let keys = ["name", "subscription", "handler", "lua", "enabled", "description", "timeout", "concurrency", "order"];
    for subscription in Catalog::embedded().subscriptions() {
        let clash = keys.iter().find(|key| subscription.method.input.field(key).is_some());
        assert_eq!(clash, None, "{}", subscription.name);
    }
}

#[test]
fn filter_is_accepted_wherever_there_is_a_primary_filter() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("r.yaml");
    let takes = |subscription: &&Subscription| {
        subscription.method.input.fields.iter().any(|field| matches!(field.kind, Kind::Message(_)))
    };
    let catalog = Catalog::embedded();
    let names = |wanted: bool| {
        let all = catalog.subscriptions().iter().map(|known| &**known);
        all.filter(move |known| takes(known) == wanted).map(|known| known.name.as_str())
    };
    let rule = |name: &str| format!("  - {{ name: {name}, subscription: {name}, lua: return, filter: {{}} }}\n");
    std::fs::write(&path, names(true).fold("rules:\n".to_owned(), |text, name| text + &rule(name))).unwrap();
    let (set, diagnostics) = load(&path);
    assert!(diagnostics.is_empty(), "{diagnostics:?}");
    assert!(
        set.rules.len() == names(true).count()
            && set.rules.len() > 35
            && set.rules.iter().all(|rule| rule.request.ends_with(&[0]))
    );
    std::fs::write(&path, names(false).fold("rules:\n".to_owned(), |text, name| text + &rule(name))).unwrap();
    let (set, diagnostics) = load(&path);
    assert!(set.rules.is_empty() && diagnostics.len() == names(false).count() && !diagnostics.is_empty());
}
