//! That no parameter of any subscription is passed over in silence.

use super::*;
use crate::schema::Catalog;

#[test]
fn every_parameter_of_every_subscription_is_about_a_part_of_its_notification() {
    for subscription in Catalog::embedded().subscriptions() {
        let (input, output) = (&subscription.method.input, &subscription.method.output);
        for field in input.fields.iter().filter(|field| field.name != "count") {
            let found = match field.cardinality {
                Cardinality::Repeated => part_with_id(output, &field.name),
                _ => part_of(output, &field.name),
            };
            assert!(found.is_some(), "{} {}", subscription.name, field.name);
            if let (Kind::Message(plan), Cardinality::Optional) = (&field.kind, field.cardinality) {
                assert!(typed(&plan.name, &[]).is_ok(), "{} {}", subscription.name, field.name);
            }
        }
    }
}

#[test]
fn ids_are_equal_however_they_are_encoded() {
    let id = data::MessageId { r#type: 1, id: 300 };
    let swapped = [&[0x10, 0xac, 0x02][..], &[0x08, 0x01]].concat();
    assert_eq!(normal(swapped), normal(id.encode_to_vec()));
    let numbers = [1, 49, 0x3131_3131, u64::MAX].map(|number| normal(identifier(&Value::Unsigned(number))));
    for (at, number) in numbers.iter().enumerate() {
        assert!(!numbers[..at].contains(number));
    }
}
