//! A rule file as JSON, which is what a validator judges: read by the loader's parser, with the loader's idea of keys.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value as Json};

/// Reads a text; none where it is no document.
pub(crate) fn read(bytes: &[u8]) -> Option<Json> {
    let text = str::from_utf8(bytes).ok()?;
    serde_yaml::from_str::<Read>(text.strip_prefix('\u{feff}').unwrap_or(text)).ok().map(|read| read.0)
}

struct Read(Json);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Read)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<Json, E> {
        Ok(truth.into())
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Json, E> {
        Ok(number.into())
    }

    // Beyond 64 bits JSON has them as it has all numbers, less exactly.
    fn visit_i128<E: de::Error>(self, _: i128) -> Result<Json, E> {
        Ok((-1e30).into())
    }

    fn visit_u128<E: de::Error>(self, _: u128) -> Result<Json, E> {
        Ok(1e30.into())
    }

    /// To a schema 1.0 is the integer 1, to the loader a number with a fraction: this one thing a schema cannot know is
    /// kept out by adding a fraction that shows.
    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Json, E> {
        let shown = if number.fract() == 0.0 { number + 0.5 } else { number };
        Ok(Number::from_f64(shown).map_or(Json::Null, Json::Number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    /// Nothing at all.
    fn visit_none<E: de::Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(Read(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(items.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Json, A::Error> {
        let mut entries = Map::new();
        while let Some((Read(key), Read(value))) = map.next_entry()? {
            let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
            // Of a key that is given twice, the loader goes on with the first.
            entries.entry(key).or_insert(value);
        }
        Ok(entries.into())
    }
}
