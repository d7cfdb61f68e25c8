//! The JSON Schema of scenario files: what an editor completes, explains and refuses.
//!
//! Made from the keys that the reader knows and from the catalog, as that of rule files is. Names of people and groups, and
//! whatever else is elsewhere, no schema knows.

use serde_json::{Map, Value, json};

use super::{
    BOT,
    expect::{self, PLACE},
    given::MOST,
    keys::{
        ANSWER, BESIDE, CLOCK, CODE, COMMAND, CONTACTS, DOINGS, EARLIER, EXPECT, EXPECTED, FAILURE, FAILURE_KEYS, FILE,
        GIVEN, GIVEN_KEYS, GROUPS, IN, KIND, Key, LAST, LEVEL, LOG, LOG_KEYS, MESSAGES, NAME, NOTHING, REFUSE, RULES,
        SAID, SAY, SCENARIO, SCENARIOS, STEP, STEPS, TIMES, UNORDERED, WHEN, WITH,
    },
    reader::MATCHES,
    when::LONGEST,
};
use crate::{
    report::{FailureKind, Level},
    rules::{
        Measure,
        json_schema::{any_case, messages},
    },
    schema::{Catalog, Command, order::OrderKey},
    simulator::Reply,
};

/// A text in one line that is more than blanks.
const LINE: &str = r"^(?=[\s\S]*\S)[^\u0000-\u001f\u007f-\u009f]*$";

/// Writes the schema, the same for the same catalog.
pub fn document(catalog: &Catalog) -> String {
    let mut definitions = Map::new();
    let (what, done) = (done(catalog, &mut definitions), reference("done"));
    definitions.insert("done".to_owned(), what);
    let (what, expected) = (expected(catalog, &mut definitions), reference("expected"));
    definitions.insert("expected".to_owned(), what);
    definitions.insert("given".to_owned(), given());
    definitions.insert("times".to_owned(), json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000 }));
    definitions.insert(
        "expression".to_owned(),
        json!({
            "description": "A text in which this regular expression is found.",
            "type": "object",
            "properties": { MATCHES: { "type": "string" } },
            "required": [MATCHES],
            "additionalProperties": false,
        }),
    );
    let several = |one: Value| json!({ "type": "array", "minItems": 1, "items": one });
    let when =
        json!({ "anyOf": [{ "type": "string" }, done, several(json!({ "anyOf": [{ "type": "string" }, done] }))] });
    let expect = json!({ "anyOf": [{ "enum": [NOTHING] }, expected, several(expected.clone())] });
    definitions.insert(WHEN.to_owned(), when);
    definitions.insert(EXPECT.to_owned(), expect);
    definitions.insert("scenario".to_owned(), scenario());
    let mut file = table(&FILE, |key| match key {
        RULES => json!({ "anyOf": [{ "type": "string" }, several(json!({ "type": "string" }))] }),
        GIVEN => reference("given"),
        SCENARIOS => several(reference("scenario")),
        _ => Value::Null,
    });
    file["required"] = json!([SCENARIOS]);
    file["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    file["$id"] = json!("urn:olvid-rules:scenarios.schema.json");
    file["title"] = json!("A scenario file of olvid-rules");
    file["description"] = json!(
        "What people do, and what the bot is to do about it. `olvid-rules test` plays it, and tells what no schema can know."
    );
    file["definitions"] = Value::Object(definitions);
    format!("{file:#}\n")
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

/// A table with these keys and no others.
fn table(keys: &[Key], held: impl Fn(&str) -> Value) -> Value {
    let properties = keys.iter().map(|key| {
        let mut held = held(key.name);
        held["description"] = json!(key.doc);
        (key.name.to_owned(), held)
    });
    json!({ "type": "object", "properties": properties.collect::<Map<_, _>>(), "additionalProperties": false })
}

fn text() -> Value {
    json!({ "type": "string" })
}

fn given() -> Value {
    // The bot is there anyway.
    let name = json!({ "type": "string", "allOf": [{ "pattern": LINE }, { "not": { "pattern": format!("^{}$", any_case(BOT)) } }] });
    let names = json!({ "type": "array", "maxItems": MOST, "uniqueItems": true, "items": name });
    let mut earlier = table(&EARLIER, |_| text());
    earlier["required"] = json!([SAY]);
    table(&GIVEN_KEYS, |key| match key {
        CONTACTS => {
            let mut names = names.clone();
            names["minItems"] = json!(1);
            names
        }
        GROUPS => names.clone(),
        MESSAGES => json!({ "type": "array", "items": { "anyOf": [text(), earlier] } }),
        CLOCK => text(),
        _ => Value::Null,
    })
}

fn scenario() -> Value {
    let mut made = table(&SCENARIO, |key| match key {
        NAME => json!({ "type": "string", "pattern": LINE }),
        STEPS => {
            let mut step = json!({ "type": "object", "additionalProperties": false });
            for key in SCENARIO.iter().filter(|key| STEP.contains(&key.name)) {
                let mut held = reference(key.name);
                held["description"] = json!(key.doc);
                step["properties"][key.name] = held;
            }
            let some = json!({ "anyOf": STEP.map(|key| json!({ "required": [key] })) });
            json!({ "type": "array", "items": step, "contains": some })
        }
        name => reference(name),
    });
    let required = |key: &str| json!({ "required": [key] });
    made["required"] = json!([NAME]);
    made["oneOf"] = json!([required(STEPS), { "anyOf": STEP.map(required) }]);
    made
}

/// What can be done, one thing in a table.
fn done(catalog: &Catalog, definitions: &mut Map<String, Value>) -> Value {
    let commands: Vec<&str> = catalog.commands().iter().map(|command| command.name.as_str()).collect();
    let mut notifications = Map::new();
    for subscription in catalog.subscriptions() {
        let held = described(messages::held(&subscription.method.output, definitions), &subscription.method.doc);
        notifications.insert(subscription.name.clone(), held.clone());
        // The documentation's spelling is taken too.
        notifications.insert(subscription.documented.clone(), held);
    }
    let (mut requests, mut answers) = (Map::new(), Vec::new());
    for command in catalog.commands() {
        let held = messages::held(&command.method.input, definitions);
        requests.insert(command.name.clone(), described(held, &command.method.doc));
        let answer = messages::held(&command.method.output, definitions);
        answers.push(json!({
            "if": { "properties": { COMMAND: { "enum": [command.name] } }, "required": [COMMAND] },
            "then": { "properties": { WITH: answer } },
        }));
    }
    let one_of = |properties: Map<String, Value>| {
        json!({
            "type": "object", "properties": properties, "additionalProperties": false,
            "minProperties": 1, "maxProperties": 1,
        })
    };
    let of_call = |key: &str| match key {
        COMMAND => json!({ "enum": commands }),
        CODE => json!({ "enum": Reply::statuses() }),
        SAID => text(),
        WITH => json!({ "type": "object" }),
        TIMES => reference("times"),
        _ => Value::Null,
    };
    let mut refuse = table(&REFUSE, of_call);
    refuse["required"] = json!([COMMAND, CODE]);
    let mut answer = table(&ANSWER, of_call);
    answer["required"] = json!([COMMAND, WITH]);
    answer["allOf"] = json!(answers);
    let named = [("emit", one_of(notifications)), ("do", one_of(requests)), ("refuse", refuse), ("answer", answer)];
    let mut made = table(&BESIDE, |_| text());
    for doing in &DOINGS {
        let known = named.iter().find(|(name, _)| *name == doing.key.name).map(|(_, held)| held.clone());
        let held = known.unwrap_or_else(|| match doing.key.name {
            "delete" => json!({ "enum": [LAST] }),
            "wait" => time(),
            _ => text(),
        });
        made["properties"][doing.key.name] = described(held, doing.key.doc);
    }
    let alone = DOINGS.iter().map(|doing| {
        let name = doing.key.name;
        let beside: Vec<&str> = doing.beside.iter().copied().chain([name]).collect();
        json!({ "if": { "required": [name] }, "then": { "propertyNames": { "enum": beside } } })
    });
    made["allOf"] = alone.collect();
    made["anyOf"] = DOINGS.iter().map(|doing| json!({ "required": [doing.key.name] })).collect();
    made
}

fn described(mut held: Value, doc: &str) -> Value {
    held["description"] = json!(messages::flat(doc));
    held
}

/// A time that passes. How much that is where it has a unit is not compared.
fn time() -> Value {
    let units: Vec<&str> = Measure::Time.units().iter().map(|(unit, _)| *unit).collect();
    json!({ "anyOf": [
        { "type": "integer", "minimum": 1, "maximum": LONGEST / Measure::Time.number(1) },
        { "type": "string", "pattern": format!(r"^(?!0+(?!\d))\d+\s*(?:{})?\s*$", units.join("|")) },
    ] })
}

/// What can be expected, one thing in a table.
fn expected(catalog: &Catalog, definitions: &mut Map<String, Value>) -> Value {
    let telling = |keys: &[Key]| {
        table(keys, |key| match key {
            LEVEL => json!({ "enum": Level::ALL.map(Level::name) }),
            KIND => json!({ "enum": FailureKind::ALL.map(FailureKind::name) }),
            // Whatever was logged.
            _ => json!({}),
        })
    };
    let mut made = table(&EXPECTED, |key| match key {
        UNORDERED => json!({ "type": "array", "items": reference("expected") }),
        LOG => telling(&LOG_KEYS),
        FAILURE => telling(&FAILURE_KEYS),
        _ => text(),
    });
    let mut strict = Map::new();
    for command in catalog.commands() {
        messages::held(expect::request(command), &mut strict);
        let fields = json!({ "anyOf": [{ "type": "null" }, reference(&name(&expect::request(command).name))] });
        made["properties"][&command.name] = described(fields, &command.method.doc);
    }
    definitions.extend(strict.into_iter().map(|(of, held)| (name(&of), loosened(held))));
    let takes = |command: &&std::sync::Arc<Command>| {
        let plan = expect::request(command);
        OrderKey::of(plan, PLACE).thing(plan) == PLACE
    };
    let placed = catalog.commands().iter().filter(takes).map(|command| command.name.as_str());
    let placed: Vec<&str> = placed.chain([IN]).collect();
    made["if"] = json!({ "required": [IN] });
    made["then"] = json!({ "minProperties": 2, "maxProperties": 2, "propertyNames": { "enum": placed } });
    made["else"] = json!({ "minProperties": 1, "maxProperties": 1 });
    made
}

/// Where what is expected of a message or enum is defined.
fn name(of: &str) -> String {
    format!("expected.{of}")
}

/// What is expected of what was to be written: an expression may stand for a text, and nothing for a field that is not set.
fn loosened(schema: Value) -> Value {
    let Value::Object(mut held) = schema else { return schema };
    let fields = held.get_mut("properties").and_then(Value::as_object_mut);
    for field in fields.into_iter().flat_map(Map::values_mut) {
        let doc = field.as_object_mut().and_then(|field| field.remove("description"));
        let list = field.get("items").cloned();
        let value = match list {
            Some(items) => json!({ "type": "array", "items": value(items) }),
            None => value(field.take()),
        };
        *field = json!({ "anyOf": [value, { "type": "null" }] });
        field["description"] = doc.unwrap_or_default();
        if field["description"].is_null() {
            field.as_object_mut().and_then(|field| field.remove("description"));
        }
    }
    // Of two fields of which one may be set, one may be said not to be.
    let pairs = held.get_mut("allOf").and_then(Value::as_array_mut);
    for pair in pairs.into_iter().flatten() {
        let named = pair["not"]["required"].as_array().cloned().unwrap_or_default();
        for name in named.iter().filter_map(Value::as_str) {
            pair["not"]["properties"][name] = json!({ "not": { "type": "null" } });
        }
    }
    Value::Object(held)
}

fn value(held: Value) -> Value {
    if let Some(of) = held["$ref"].as_str().and_then(|way| way.rsplit('/').next()) {
        return reference(&name(of));
    }
    if held["type"] == "string" { json!({ "anyOf": [held, reference("expression")] }) } else { held }
}

#[cfg(test)]
mod tests {
    use super::{super::keys::names, *};

    #[test]
    fn every_key_of_the_reader_has_a_meaning() {
        let schema: Value = serde_json::from_str(&document(Catalog::embedded())).unwrap();
        let properties = |way: &str| schema.pointer(way).and_then(Value::as_object).unwrap().clone();
        for (way, keys) in [
            ("/properties", names(&FILE)),
            ("/definitions/given/properties", names(&GIVEN_KEYS)),
            ("/definitions/scenario/properties", names(&SCENARIO)),
            ("/definitions/done/properties/refuse/properties", names(&REFUSE)),
            ("/definitions/done/properties/answer/properties", names(&ANSWER)),
        ] {
            let properties = properties(way);
            assert_eq!(properties.len(), keys.len(), "{way}");
            for key in keys {
                assert!(properties[key].as_object().is_some_and(|held| held.len() > 1), "{way}: {key}");
            }
        }
        assert_eq!(properties("/definitions/done/properties").len(), DOINGS.len() + BESIDE.len());
    }
}
