//! Who may do what.

use serde_json::json;
use tonic::Code;

use crate::{simulator, support::Client};

#[tokio::test]
async fn keys_open_what_they_should() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let admin = Client::connect(&simulator, "admin").await;
    let stranger = Client::connect(&simulator, "nobody").await;
    let anonymous = Client::anonymous(&simulator).await;
    let acting = admin.clone().acting_for(simulator.identity_id("bot").unwrap());
    let lost = admin.clone().acting_for(99);
    let (ok, unauthenticated, denied) = (Code::Ok, Code::Unauthenticated, Code::PermissionDenied);
    let cases = [
        // command, bot, admin alone, admin for the bot, admin for nobody, wrong key, no key
        ("ping", [ok, ok, ok, ok, ok, ok]),
        ("daemon_version", [ok, ok, ok, ok, ok, ok]),
        ("authentication_test", [ok, ok, ok, ok, denied, denied]),
        ("authentication_admin_test", [denied, ok, ok, ok, denied, denied]),
        ("identity_get", [ok, unauthenticated, ok, unauthenticated, unauthenticated, unauthenticated]),
        ("storage_get", [ok, unauthenticated, unauthenticated, unauthenticated, unauthenticated, unauthenticated]),
        ("admin_backup_now", [denied, ok, ok, ok, unauthenticated, unauthenticated]),
    ];
    for (command, expected) in cases {
        let clients = [&bot, &admin, &acting, &lost, &stranger, &anonymous];
        for (client, expected) in clients.into_iter().zip(expected) {
            let code = client.call(command, json!({})).await.err().map_or(Code::Ok, |status| status.code());
            assert_eq!(code, expected, "{command}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_refused_before_its_first_message() {
    let (simulator, _) = simulator().await;
    for client in [Client::connect(&simulator, "nobody").await, Client::anonymous(&simulator).await] {
        let Err(refused) = client.subscribe("message_received", json!({})).await else { panic!("it was let in") };
        assert_eq!((refused.code(), refused.message()), (Code::Unauthenticated, "Invalid client key"));
    }
}

#[tokio::test]
async fn an_unknown_path_is_unimplemented() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let known = &crate::support::command("ping").method;
    let method = olvid_rules::schema::Method {
        service: known.service.clone(),
        name: known.name.clone(),
        path: "/olvid.daemon.services.v1.MessageCommandService/MessageTeleport".to_owned(),
        input: known.input.clone(),
        output: known.output.clone(),
        doc: String::new(),
        errors: Vec::new(),
    };
    let refused = bot.raw(&method, vec![bytes::Bytes::new()]).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
}

#[tokio::test]
async fn administrators_make_identities_and_keys_at_run_time() {
    let (simulator, _) = simulator().await;
    let admin = Client::connect(&simulator, "admin").await;
    let new = json!({"identity_details": {"first_name": "Carol", "position": "CTO", "company": "Acme"}});
    let identity = admin.call("admin_identity_new", new).await.unwrap()["identity"].clone();
    assert_eq!(identity["display_name"], "Carol (CTO @ Acme)");
    let key = json!({"name": "carol", "identity_id": identity["id"]});
    let key = admin.call("admin_client_key_new", key).await.unwrap()["client_key"]["key"].clone();
    let carol = Client::connect(&simulator, key.as_str().unwrap()).await;
    assert_eq!(carol.call("identity_get", json!({})).await.unwrap()["identity"], identity);
    assert!(carol.list("contact_list", json!({})).await.unwrap().is_empty());

    let mine = json!({"filter": {"identity_id": identity["id"]}});
    assert_eq!(admin.list("admin_client_key_list", mine).await.unwrap().len(), 1);
    admin.call("admin_client_key_delete", json!({"client_key": key})).await.unwrap();
    assert_eq!(carol.call("identity_get", json!({})).await.unwrap_err().code(), Code::Unauthenticated);

    let listener = Client::connect(&simulator, "bot").await;
    let mut listening = listener.subscribe("message_received", json!({})).await.unwrap();
    let bot = json!({"identity_id": simulator.identity_id("bot"), "delete_everywhere": true});
    let mut hers = simulator.observe("alice").unwrap();
    admin.call("admin_identity_delete", bot).await.unwrap();
    assert_eq!(crate::names(&mut hers), ["discussion_locked", "contact_deleted"]);
    assert_eq!(listening.next().await.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(admin.list("admin_identity_list", json!({})).await.unwrap().len(), 3);
}
