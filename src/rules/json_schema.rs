//! The JSON Schema of rule files: what an editor completes, explains and refuses.
//!
//! Made from the catalog and from the tables that the loader reads by, so that both say the same wherever a schema can
//! know. Draft 7, as that is the newest that YAML language servers understand: by each rule's `subscription` one of 46
//! conditions holds and adds its parameters, so that they are completed for each subscription by itself. Beside a `$ref`
//! stand descriptions only; validators leave them out, editors show them.

pub(crate) mod messages;
mod patterns;
mod values;

use serde_json::{Map, Value, json};

pub(crate) use patterns::any_case;

use super::{
    keys::{self, Key},
    parameters::{self, FILTER},
    top,
};
use crate::schema::{Catalog, Subscription};

/// Writes the schema, the same for the same catalog.
pub fn document(catalog: &Catalog) -> String {
    let mut definitions = Map::new();
    let subscriptions = catalog.subscriptions().iter();
    let conditions: Vec<_> = subscriptions.map(|known| condition(known, &mut definitions)).collect();
    definitions.insert("rule".to_owned(), rule(catalog, &conditions));
    definitions.insert(top::DEFAULTS.to_owned(), defaults());
    definitions.insert(top::PERMISSIONS.to_owned(), values::permissions(catalog));
    for key in &keys::KEYS {
        definitions.insert(definition(key), values::key(key, catalog));
    }
    let properties = top::DOCS.iter().map(|(name, doc)| {
        let held = match *name {
            // A file without rules is told, not refused.
            top::RULES => json!({ "type": ["array", "null"], "items": reference("rule"), "description": doc }),
            name => json!({ "$ref": format!("#/definitions/{name}"), "description": doc }),
        };
        ((*name).to_owned(), held)
    });
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": "urn:olvid-rules:rules.schema.json",
        "title": "A rule file of olvid-rules",
        "description": "Rules bind what the Olvid daemon tells to Lua handlers. `olvid-rules check` tells what no schema \
                        can know: scripts, directories, regular expressions, and names that are taken.",
        "type": ["object", "null"],
        "properties": properties.collect::<Map<_, _>>(),
        "additionalProperties": false,
        "definitions": definitions,
    });
    format!("{schema:#}\n")
}

/// A rule: the keys that all have, and behind each subscription's name its parameters.
fn rule(catalog: &Catalog, conditions: &[Value]) -> Value {
    let properties: Map<_, _> =
        keys::KEYS.iter().map(|key| (key.name.to_owned(), reference(&definition(key)))).collect();
    let required = |key: &str| json!({ "required": [key] });
    json!({
        "description": format!("One of {} subscriptions with its parameters, and its handler.", catalog.subscriptions().len()),
        "type": "object",
        "properties": properties,
        "required": [keys::NAME, keys::SUBSCRIPTION],
        "oneOf": [required(keys::HANDLER), required(keys::LUA)],
        "allOf": conditions,
    })
}

/// What holds for the rules of one subscription: the keys there are, and no others.
fn condition(subscription: &Subscription, definitions: &mut Map<String, Value>) -> Value {
    let mut properties = Map::new();
    for key in &keys::KEYS {
        // What may be written for it is said once, for all rules.
        let held = if key.fits(subscription) { json!(true) } else { json!({ "enum": [false] }) };
        properties.insert(key.name.to_owned(), held);
    }
    let input = &subscription.method.input;
    for field in &input.fields {
        properties.insert(field.name.clone(), messages::field(field, definitions));
    }
    properties
        .insert(keys::SUBSCRIPTION.to_owned(), json!({ "description": messages::flat(&subscription.method.doc) }));
    let mut then = json!({ "additionalProperties": false });
    if let Some(field) = parameters::primary_filter(subscription).and_then(|name| input.field(name)) {
        let mut short = messages::field(field, definitions);
        short["description"] = json!(format!("Short for `{}`. {}", field.name, messages::flat(&field.doc)));
        properties.insert(FILTER.to_owned(), short);
        then["not"] = json!({ "required": [FILTER, field.name] });
    }
    then["properties"] = Value::Object(properties);
    let name = values::one_of(&[&subscription.name, &subscription.documented]);
    json!({
        "if": { "properties": { keys::SUBSCRIPTION: name }, "required": [keys::SUBSCRIPTION] },
        "then": then,
    })
}

fn defaults() -> Value {
    let terms = keys::KEYS.iter().filter(|key| key.is_term());
    let properties: Map<_, _> = terms.map(|key| (key.name.to_owned(), reference(&definition(key)))).collect();
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// Where the values of a key are defined.
fn definition(key: &Key) -> String {
    format!("key.{}", key.name)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}
