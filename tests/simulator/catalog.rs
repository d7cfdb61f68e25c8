//! Every RPC answers, and every subscription carries any notification.

use olvid_rules::{
    schema::{Catalog, Shape, catalog::Entry},
    simulator::{Options, Simulator},
};
use serde_json::json;
use tonic::Code;

use crate::{simulator, support::Client};

#[tokio::test]
async fn every_command_answers() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let admin = Client::connect(&simulator, "admin").await;
    let mut answered = 0;
    for command in Catalog::embedded().commands() {
        let client = if command.admin || command.name.contains("admin_test") { &admin } else { &bot };
        let outcome = client.messages(&command.name, json!({})).await;
        match outcome {
            Ok(answers) if matches!(command.shape, Shape::Unary(_)) => assert_eq!(answers.len(), 1),
            Ok(_) => {}
            Err(status) => {
                let expected = [Code::NotFound, Code::InvalidArgument];
                assert!(expected.contains(&status.code()), "{}: {status}", command.name);
            }
        }
        answered += 1;
    }
    assert_eq!(answered, 106);
}

#[tokio::test]
async fn every_subscription_opens_and_carries_what_is_emitted() {
    let simulator = Simulator::start(Options::default()).await.unwrap();
    let bot = Client::connect(&simulator, "bot").await;
    for subscription in Catalog::embedded().subscriptions() {
        let mut listening = bot.subscribe(&subscription.name, json!({"count": 1})).await.unwrap();
        assert_eq!(simulator.emit("bot", &subscription.name, json!({})).unwrap(), 1, "{}", subscription.name);
        assert!(listening.next().await.unwrap().is_some());
        assert!(listening.next().await.unwrap().is_none(), "count ends the stream");
        let entry = Catalog::embedded().at_path(&subscription.method.path);
        assert!(matches!(entry, Some(Entry::Subscription(_))));
    }
    assert_eq!(simulator.opened("bot"), 46);
    assert_eq!(simulator.sent("bot"), 46);
}

#[tokio::test]
async fn bytes_that_are_no_request_are_refused() {
    let (simulator, _) = simulator().await;
    let bot = Client::connect(&simulator, "bot").await;
    let broken = || bytes::Bytes::from_static(&[0xff, 0xff, 0xff]);
    for command in Catalog::embedded().commands().iter().filter(|command| !command.admin && command.name != "ping") {
        let Ok(mut answers) = bot.raw(&command.method, vec![broken()]).await else { continue };
        let denied = command.name == "authentication_admin_test";
        assert!(answers.message().await.is_err() || denied, "{}", command.name);
    }
    for subscription in Catalog::embedded().subscriptions() {
        let Err(refused) = bot.raw(&subscription.method, vec![broken()]).await else { panic!("let in") };
        assert_eq!(refused.code(), Code::InvalidArgument);
    }
}
