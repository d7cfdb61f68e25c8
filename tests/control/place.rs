//! Where a host's socket is, who may use it, and what becomes of it.

use std::os::unix::fs::{FileTypeExt as _, chown, symlink};

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn the_socket_is_where_the_surroundings_have_it_and_only_for_its_owner() {
    let machine = Machine::new();
    let own = format!("{}.sock", std::process::id());
    let base = machine.surroundings();
    let given = Surroundings {
        given: Some(machine.path("work/x.sock")),
        service: Some(machine.path("service")),
        ..base.clone()
    };
    let service = Surroundings { service: Some(machine.path("service")), ..base.clone() };
    let without = Surroundings { session: None, ..base.clone() };
    let foreign = Surroundings { session: Some(machine.path("nowhere")), ..base.clone() };
    let temporary = format!("tmp/olvid-rules-{}/{own}", uid(&machine));
    let cases = [
        (given, "work/x.sock".to_owned()),
        (service, "service/control.sock".to_owned()),
        (base, format!("session/olvid-rules/{own}")),
        (without, temporary.clone()),
        (foreign, temporary),
    ];
    for (surroundings, expected) in cases {
        let control = Control::open(&surroundings).await.unwrap();
        let path = control.path().to_owned();
        assert_eq!(path, machine.path(&expected));
        assert!(fs::metadata(&path).unwrap().file_type().is_socket());
        assert_eq!(mode(&path), 0o600, "{expected}");
        if expected.contains("olvid-rules") {
            assert_eq!(mode(path.parent().unwrap()), 0o700, "{expected}");
        }
        let (_requests, serving) = control.serve(|| Json::Null);
        assert_eq!(serving.path(), path);
        drop(serving);
        assert!(!path.exists(), "{expected} is removed at the end");
    }
}

#[tokio::test]
async fn a_directory_that_is_not_ours_alone_is_refused_or_closed() {
    let machine = Machine::new();
    let folder = machine.path("session/olvid-rules");
    symlink(machine.path("elsewhere"), &folder).unwrap();
    let error = Control::open(&machine.surroundings()).await.unwrap_err();
    assert!(error.to_string().contains("session/olvid-rules` is not a directory of ours"), "{error}");
    fs::remove_file(&folder).unwrap();

    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    drop(Control::open(&machine.surroundings()).await.unwrap());
    assert_eq!(mode(&folder), 0o700);

    if uid(&machine) == 0 {
        chown(&folder, Some(NOBODY), None).unwrap();
        let error = Control::open(&machine.surroundings()).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied, "{error}");
    }
}

#[tokio::test]
async fn a_dead_hosts_socket_is_replaced_and_a_living_hosts_is_not() {
    let machine = Machine::new();
    machine.corpse("work/x.sock");
    let first = machine.open("work/x.sock").await;
    let given = Surroundings { given: Some(machine.path("work/x.sock")), ..machine.surroundings() };
    let error = Control::open(&given).await.unwrap_err().to_string();
    assert!(
        error.contains(&format!("process {} serves", std::process::id())) && error.contains("work/x.sock"),
        "{error}"
    );
    drop(first);
    drop(Control::open(&given).await.unwrap());

    fs::write(machine.path("work/x.sock"), "a file").unwrap();
    let error = Control::open(&given).await.unwrap_err().to_string();
    assert!(error.contains("is no socket"), "{error}");
    assert_eq!(fs::read_to_string(machine.path("work/x.sock")).unwrap(), "a file");
    let nowhere = Surroundings { given: Some(machine.path("nowhere/x.sock")), ..given };
    let error = Control::open(&nowhere).await.unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    let long = Surroundings { given: Some(machine.path(&"x".repeat(200))), ..nowhere };
    let error = Control::open(&long).await.unwrap_err().to_string();
    assert!(error.contains("xxx`: path must be shorter"), "{error}");
}

#[tokio::test]
async fn of_hosts_that_want_the_same_place_at_once_one_gets_it() {
    let machine = Machine::new();
    let given = Surroundings { given: Some(machine.corpse("work/x.sock")), ..machine.surroundings() };
    let opened = join_all((0..8).map(|_| Control::open(&given))).await;
    let (won, lost): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert_eq!((won.len(), lost.len()), (1, 7));
    assert_eq!(mode(&machine.path("work/x.sock")), 0o600);
    UnixStream::connect(machine.path("work/x.sock")).await.unwrap();
}

#[tokio::test]
async fn what_dead_hosts_left_in_the_directory_that_hosts_share_is_removed() {
    let machine = Machine::new();
    let folder = machine.session();
    let dead = machine.corpse("session/olvid-rules/1.sock");
    let living = machine.open("session/olvid-rules/2.sock").await;
    fs::write(folder.join("3.sock"), "a file").unwrap();
    let own = Control::open(&machine.surroundings()).await.unwrap();
    assert!(!dead.exists() && living.path().exists() && folder.join("3.sock").exists() && own.path().exists());
}

#[tokio::test]
async fn a_socket_that_took_the_place_of_ours_stays() {
    let machine = Machine::new();
    let control = machine.open("work/x.sock").await;
    fs::remove_file(control.path()).unwrap();
    let other = machine.corpse("work/x.sock");
    drop(control);
    assert!(other.exists());
}
