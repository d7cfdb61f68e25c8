//! What a feed's stream missed: listed before the stream is read, and told, or told as a gap.

use jiff::Timestamp;
use tokio::select;

use super::{End, Feed, Route, is_alone};
use crate::{
    daemon::CallError,
    engine::{
        catch_up::{CatchUp, now},
        herald::Change,
    },
};

/// Why what was missed was not listed to its end.
enum Cut {
    /// The host is stopping, or nobody is fed any more.
    Closing,
    /// The list cannot be had; `without` says whether to read the stream without it, for now.
    Failed { error: CallError, without: bool },
}

impl Feed {
    /// Hands over what was missed, and tells it. An end, where the host is stopping meanwhile or the daemon went away.
    pub(super) async fn recover(&mut self) -> Option<End> {
        let owes = self.catch_up.as_ref().is_some_and(CatchUp::owes);
        let caught_up = if owes { Box::pin(self.catch_up()).await } else { Ok(None) };
        if !matches!(caught_up, Err(Cut::Closing | Cut::Failed { without: false, .. })) {
            self.current().iter().for_each(Route::rested);
        }
        let change = match (caught_up, self.away.take()) {
            (Ok(Some(0)), _) | (Ok(None), None) => return None,
            (Ok(Some(notifications)), _) => Change::CaughtUp { notifications },
            (Ok(None), Some(from)) => Change::Gap { from, to: Timestamp::now(), cause: None },
            (Err(Cut::Closing), _) => return Some(End::Closed),
            (Err(Cut::Failed { error, without: false }), from) => {
                self.away = from;
                return Some(End::Lost(error));
            }
            (Err(Cut::Failed { error, .. }), from) => {
                let to = Timestamp::now();
                Change::Gap { from: from.unwrap_or(to), to, cause: Some(error.to_string()) }
            }
        };
        self.herald.tell(self.cell.id, self.cell.name(), change).await;
        (self.remaining == Some(0)).then_some(End::Completed)
    }

    /// Hands over what was missed, and returns how many notifications that were; none where it cannot be listed.
    async fn catch_up(&mut self) -> Result<Option<u64>, Cut> {
        let closing = self.closing.clone();
        let Some(catch_up) = &self.catch_up else { return Ok(None) };
        let mut missed = catch_up.missed(is_alone(&self.current()));
        let mut notifications = 0;
        // What is over the rule's count is not asked for.
        while self.remaining != Some(0) {
            // Beside others, who comes meanwhile does not wait for the end of the list. By itself, what it is still owed
            // came before what is in the list.
            let alone = is_alone(&self.current());
            self.take_over(alone);
            let Some(catch_up) = &self.catch_up else { return Ok(None) };
            missed.goes_on(catch_up, alone);
            let batch = select! {
                () = closing.cancelled() => return Err(Cut::Closing),
                batch = missed.next_batch(catch_up, &self.daemon) => batch,
            };
            let Some(mut batch) = batch.map_err(|error| self.not_caught_up(error))? else {
                self.catch_up.iter_mut().for_each(CatchUp::caught_up);
                break;
            };
            batch.truncate(self.owed());
            let mut known = 0;
            if let Some(catch_up) = &mut self.catch_up {
                let ids = catch_up.ids(&batch);
                let dropped = |route: &Route| catch_up.drop_waiting(route, &ids);
                known = self.routes.borrow().iter().filter(|_| alone).map(dropped).sum();
                catch_up.listed(&batch, now());
            }
            notifications += (batch.len() as u64).saturating_sub(known);
            self.received(&batch, true, known).await;
        }
        Ok(Some(notifications))
    }

    fn not_caught_up(&mut self, error: CallError) -> Cut {
        let without = self.catch_up.as_mut().is_none_or(|catch_up| catch_up.failed(&error));
        Cut::Failed { error, without }
    }
}
