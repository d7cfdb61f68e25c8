//! Clients of a socket: so many are served at one time, the others wait in the listener's queue.

use std::{io, time::Duration};

use tokio::{task::JoinSet, time::sleep};

/// Clients that are served at one time.
pub const CLIENTS: usize = 16;

/// Failed accepts are about resources of the whole process: at once again would be a busy loop.
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// Has whoever comes next attended to, again and again. Dropped, it cuts those that are served.
pub(super) async fn attend_all<C, A>(mut next: impl AsyncFnMut() -> io::Result<C>, attend: impl Fn(C) -> A)
where
    A: Future<Output = ()> + Send + 'static,
{
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        if clients.len() >= CLIENTS {
            clients.join_next().await;
            continue;
        }
        match next().await {
            Ok(client) => drop(clients.spawn(attend(client))),
            Err(_) => sleep(AFTER_FAILED_ACCEPT).await,
        }
    }
}
