//! Single values: names, limits, enums, commands and handlers are taken and refused as the loader does.

use std::fs;

use olvid_rules::{
    cli::catalog::page,
    rules::{LIMITS, Limit, Measure, RuleSet},
    schema::{Catalog, Enum, Kind},
};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::document;
use crate::{difference, loaded, schema, validator};

/// A validator of one definition.
fn of(definition: &str) -> jsonschema::Validator {
    let mut part = schema();
    part["$ref"] = json!(format!("#/definitions/{definition}"));
    for key in ["properties", "additionalProperties", "type", "$id"] {
        part.as_object_mut().unwrap().remove(key);
    }
    jsonschema::draft7::new(&part).unwrap()
}

/// Both verdicts on a text, which are to be alike.
fn both(text: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("there")).unwrap();
    for script in ["a.lua", "b:c.lua"] {
        fs::write(folder.path().join(script), "return print").unwrap();
    }
    let path = folder.path().join("r.yaml");
    fs::write(&path, text).unwrap();
    let codes = loaded(&path);
    let (document, validator) = (document::read(text.as_bytes()).unwrap(), validator());
    if let Some(told) = difference(validator, &document, &codes) {
        panic!("{text}: {told}");
    }
    assert_eq!(validator.is_valid(&document), codes.is_empty(), "{text}: {codes:?}");
    codes.is_empty()
}

fn rule(rest: &str) -> String {
    format!("rules: [{{ name: a, subscription: group_deleted, {rest} }}]")
}

#[test]
fn what_a_schema_knows_of_handlers_and_filters() {
    for right in [
        "handler: a.lua",
        "handler: 'a.lua:on_it'",
        "handler: 'b:c.lua'",
        "handler: 'b:c.lua:f'",
        "lua: return",
        "lua: return, filter: {}",
        "lua: return, group_filter: {}",
        "lua: return, count: 18446744073709551615",
        "lua: return, group_filter: { type: StAnDaRd }",
    ] {
        assert!(both(&rule(right)), "{right}");
    }
    for wrong in [
        "handler: a.lua, lua: return",
        "handler: ''",
        "handler: ' '",
        "handler: 'a.lua:'",
        "handler: ':f'",
        "handler: 'a.lua:end'",
        "handler: 'a.lua:on-it'",
        "handler: 'a.lua:1'",
        "handler: /etc/passwd",
        "handler: /etc/passwd:root",
        "handler: a",
        "handler: .lua",
        "lua: ''",
        "lua: \" \\n \"",
        "lua:",
        "lua: return, filter: {}, group_filter: {}",
        "lua: return, count: 18446744073709551616",
        "lua: return, group_filter: { type: 1 }",
        "lua: return, group_ids: 1",
        "lua: return, catch_up: true",
        "lua: return, ignore_self: true",
    ] {
        assert!(!both(&rule(wrong)), "{wrong}");
    }
    assert!(both(&rule("lua: return, catch_up: false, ignore_self: false")));
}

#[test]
fn both_spellings_of_a_subscription_are_known_and_no_third() {
    for known in Catalog::embedded().subscriptions() {
        for spelled in [&known.name, &known.documented] {
            assert!(both(&format!("rules: [{{ name: a, subscription: {spelled}, lua: return }}]")), "{spelled}");
        }
    }
    for other in ["Message_Received", "messageReceived", "MESSAGE_RECEIVED", "message-received", "message_send"] {
        assert!(!both(&format!("rules: [{{ name: a, subscription: {other}, lua: return }}]")), "{other}");
    }
}

#[test]
fn permissions_are_as_the_loader_reads_them() {
    let permit = |what: &str| both(&format!("permissions: {{ {what} }}\nrules: []"));
    for right in [
        "commands: [message_send, MessageSend, messageSend, olvid.message_send, admin_identity_list, AdminIdentityList]",
        "commands: []",
        "read: [there], write: [there, made], env: [A, _b, lang2]",
        "env: [OLVID_CLIENT_KEY_OF_MINE]",
    ] {
        assert!(permit(right), "{right}");
    }
    for wrong in [
        "commands: [MESSAGE_SEND]",
        "commands: [olvid.olvid.message_send]",
        "commands: [message_received]",
        "commands: ['*']",
        "commands: [message__send]",
        "commands: message_send",
        "read: ['']",
        "env: [2nd]",
        "env: [A=B]",
        "env: [OLVID_CLIENT_KEY]",
        "env: [x_olvid_Admin_client_key]",
        "env: [1]",
        "files: []",
    ] {
        assert!(!permit(wrong), "{wrong}");
    }
}

#[test]
fn a_value_of_an_enum_is_taken_by_its_name_and_its_short_form_in_any_case() {
    let schema = schema();
    let mut seen = 0;
    for plan in enums().into_iter().filter(|plan| schema["definitions"].get(&plan.name).is_some()) {
        let validator = of(&plan.name);
        let values = plan.values.iter().flat_map(|value| [value.name.clone(), value.short.clone()]);
        for text in values.flat_map(|name| [name.to_lowercase(), name.to_uppercase(), format!("{name}x"), name]) {
            assert_eq!(validator.is_valid(&json!(text)), plan.parse(&text).is_some(), "{} {text}", plan.name);
        }
        assert!([json!(1), json!(null), json!(true), json!("")].iter().all(|other| !validator.is_valid(other)));
        seen += 1;
    }
    assert!(seen > 20, "{seen}");
}

fn enums() -> Vec<&'static Enum> {
    let fields = Catalog::embedded().messages().flat_map(|message| &message.fields);
    let mut all: Vec<&Enum> =
        fields.filter_map(|field| if let Kind::Enum(plan) = &field.kind { Some(&**plan) } else { None }).collect();
    all.sort_by_key(|plan| &plan.full_name);
    all.dedup_by_key(|plan| &plan.full_name);
    all
}

#[test]
fn every_example_of_the_catalog_is_valid_and_no_rule_with_another_key() {
    let validator = validator();
    for subscription in Catalog::embedded().subscriptions() {
        let page = page(Catalog::embedded(), &subscription.name).unwrap();
        let (_, example) = page.split_once("EXAMPLE\n").unwrap();
        let (example, _) = example.split_once("\n\n").unwrap();
        let mut document = document::read(example.as_bytes()).unwrap();
        assert!(validator.is_valid(&document), "{example}");
        // Of the parameters of all subscriptions, those of this one.
        let names = Catalog::embedded().subscriptions().iter().flat_map(|known| &known.method.input.fields);
        for name in names.map(|field| field.name.as_str()).chain(["zzz", "rules", "Name"]) {
            if subscription.method.input.field(name).is_none() && name != "filter" {
                document["rules"][0][name] = json!([]);
                assert!(!validator.is_valid(&document), "{} with {name}", subscription.name);
                document["rules"][0].as_object_mut().unwrap().remove(name);
            }
        }
    }
}

#[test]
fn what_is_written_as_a_default_is_what_holds_without() {
    let schema = schema();
    let load = |rest: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.yaml");
        fs::write(&path, format!("rules: [{{ name: a, subscription: message_received, lua: return{rest} }}]")).unwrap();
        let (set, told) = RuleSet::load(&[path], Catalog::embedded());
        assert!(told.is_empty(), "{told:?}");
        let rule = &set.rules[0];
        format!("{:?} {} {} {} {:?}", rule.limits, rule.ignore_self, rule.enabled, rule.concurrency, rule.order)
    };
    let definitions = schema["definitions"].as_object().unwrap();
    let defaults =
        definitions.iter().filter_map(|(name, held)| Some((name.strip_prefix("key.")?, held.get("default")?)));
    let written: Vec<_> = defaults.map(|(key, default)| (load(&format!(", {key}: {default}")), key)).collect();
    assert!(written.len() >= LIMITS.len() + 4, "{written:?}");
    assert!(written.iter().all(|(found, _)| *found == load("")), "{written:#?}");
}

fn quantity() -> impl Strategy<Value = String> {
    let number = prop_oneof!["[0-9]{0,9}", "0{0,3}[1-9][0-9]{0,3}", "[-+]?[0-9.]{0,4}"];
    let unit = prop_oneof!["", "ms|s|m|min|h|d", "[kmgKMG][iI]?[bB]", "[bB]", "unlimited", "[a-z]{0,3}"];
    (number, " {0,2}", unit, " {0,1}").prop_map(|(number, blanks, unit, end)| number + &blanks + &unit + &end)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_limit_is_taken_as_the_loader_takes_it(which in 0..LIMITS.len(), text in quantity()) {
        thread_local!(static VALIDATORS: Vec<jsonschema::Validator> =
            LIMITS.iter().map(|limit| of(&format!("key.{}", limit.key))).collect());
        let limit: &Limit = &LIMITS[which];
        let wanted = limit.read(&text).is_ok();
        prop_assert_eq!(VALIDATORS.with(|all| all[which].is_valid(&json!(text))), wanted, "{} {:?}", limit.key, text);
    }
}

#[test]
fn a_limit_that_is_a_number_counts_what_the_reference_says() {
    for limit in &LIMITS {
        let validator = of(&format!("key.{}", limit.key));
        let unit = if limit.measure == Measure::Time { 1000 } else { 1 };
        let shown = |number: u64| if unit == 1000 { format!("{number}s") } else { number.to_string() };
        let around =
            [0, 1, 2, 1024, 3600, 3601, 86_400, 86_401, 1 << 20, (1 << 20) - 1, 1 << 26, (1 << 26) + 1, 1 << 32];
        for number in around.into_iter().chain([(1 << 32) + 1, 1_000_000, 1_000_001, u64::MAX]) {
            let wanted = limit.read(&shown(number)).is_ok();
            assert_eq!(validator.is_valid(&json!(number)), wanted, "{} {number}", limit.key);
        }
        let others = [json!(-1), json!(1.5), Json::Null, json!(true), json!([]), json!({})];
        assert!(others.iter().all(|other| !validator.is_valid(other)), "{}", limit.key);
    }
}
