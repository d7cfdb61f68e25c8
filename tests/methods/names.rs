//! The names of the methods: those of the published client are all there, and none hides behind a field.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use mlua::{Lua, Table};
use olvid_rules::schema::Catalog;

/// The datatypes' methods, loaded as the host loads them.
fn methods(lua: &Lua) -> Table {
    for (name, functions) in [("olvid", vec![]), ("json", vec!["array"])] {
        let table = lua.create_table().unwrap();
        for function in functions {
            table.set(function, lua.create_function(|_, value: Table| Ok(value)).unwrap()).unwrap();
        }
        lua.globals().set(name, table).unwrap();
    }
    let chunk = lua.load(include_str!("../../src/lua/methods.lua"));
    chunk.call(lua.create_table().unwrap()).unwrap()
}

#[test]
fn no_method_hides_behind_a_field_and_every_datatype_exists() {
    let lua = Lua::new();
    methods(&lua)
        .for_each(|kind: String, functions: Table| {
            let message = Catalog::embedded().messages().find(|message| message.name == kind);
            let message = message.unwrap_or_else(|| panic!("there is no datatype {kind}"));
            for field in &message.fields {
                assert!(!functions.contains_key(field.name.as_str())?, "{kind}:{} hides a method", field.name);
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn every_method_of_the_published_client_has_its_name() {
    const PUBLISHED: &[(&str, &str)] = &[
        ("Identity", "update set_photo remove_photo set_api_key set_configuration_link"),
        (
            "Contact",
            "can_send_message send_message get_discussion get_groups introduce invite_one_to_one downgrade_one_to_one \
             delete download_photo",
        ),
        (
            "Group",
            "can_send_message has_admin_permissions send_message leave disband add_members set_photo unset_photo \
             download_photo get_discussion",
        ),
        (
            "Discussion",
            "is_contact_discussion is_group_discussion can_post_message post_message empty_discussion get_contact \
             get_group download_photo get_settings set_settings",
        ),
        ("Attachment", "is_inbound is_outbound save delete"),
        (
            "Message",
            "is_inbound is_outbound is_one_to_one_message is_group_message get_discussion get_sender_contact \
             get_attachments reply delete edit_body react remove_reaction",
        ),
        ("MessageId", "__tostring __eq"),
        ("AttachmentId", "__tostring __eq"),
    ];
    let lua = Lua::new();
    let all = methods(&lua);
    for (kind, names) in PUBLISHED {
        let functions: Table = all.get(*kind).unwrap();
        for name in names.split_whitespace() {
            assert!(functions.contains_key(name).unwrap(), "{kind}:{name}");
        }
    }
}
