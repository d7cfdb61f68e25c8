//! What happens to the daemon, the network and the files.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use olvid_rules::simulator::{Reply, Simulator};
use tokio::{task::spawn_blocking, time::sleep};
use tonic::Code;

use crate::{
    rig::Dice,
    saving::{WAYS, Way, save},
    site::{self, BAD, RULES, SCRIPT, Site},
};

/// Codes with which a daemon, or what is between, ends streams.
const CODES: [Code; 8] = [
    Code::Unavailable,
    Code::Internal,
    Code::Unknown,
    Code::Cancelled,
    Code::Aborted,
    Code::DeadlineExceeded,
    Code::NotFound,
    Code::InvalidArgument,
];

/// Codes with which it refuses them for a while.
const REFUSALS: [Code; 4] = [Code::Unavailable, Code::Internal, Code::Unknown, Code::ResourceExhausted];

/// Something that happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// The daemon is away for so long.
    Restart(Duration),
    Cut,
    GoAway,
    Kill(Code),
    Refuse(Code, Duration),
    Parameters,
    Script,
    Pace,
    BrokenRules,
    BrokenScript,
}

impl Act {
    pub(crate) fn any(dice: &mut Dice) -> Self {
        if dice.below(5) < 2 {
            return Self::edit(dice);
        }
        match dice.below(6) {
            0 | 1 => Self::Restart(dice.millis(2500)),
            2 => Self::Cut,
            3 => Self::GoAway,
            4 => Self::Kill(dice.one_of(&CODES)),
            _ => Self::Refuse(dice.one_of(&REFUSALS), dice.millis(2000)),
        }
    }

    pub(crate) fn edit(dice: &mut Dice) -> Self {
        match dice.below(8) {
            0..=2 => Self::Parameters,
            3 | 4 => Self::Script,
            5 => Self::Pace,
            6 => Self::BrokenRules,
            _ => Self::BrokenScript,
        }
    }

    /// Lets it happen; returns the moment at which the daemon was there again, where it was away.
    pub(crate) async fn happen(
        self,
        simulator: &Simulator,
        site: &mut Site,
        folder: &Path,
        dice: &mut Dice,
    ) -> Option<Instant> {
        match self {
            Self::Restart(away) => {
                simulator.stop().await;
                sleep(away).await;
                simulator.restart().await.unwrap();
                return Some(Instant::now());
            }
            Self::Cut => simulator.drop_connections(),
            Self::GoAway => simulator.go_away(),
            Self::Kill(code) => drop(simulator.kill_streams(Some("bot"), code, "a fault of the soak")),
            Self::Refuse(code, period) => {
                simulator.refuse_subscriptions(Some((code, "refused by the soak")));
                simulator.kill_streams(Some("bot"), Code::Unavailable, "a fault of the soak");
                sleep(period).await;
                simulator.refuse_subscriptions(None);
            }
            Self::Parameters => {
                if dice.below(2) == 0 {
                    // A daemon that is busy opens the new stream late, and what is said meanwhile is on the old one only.
                    simulator.script("message_received", Reply::Delay(dice.millis(1500)), 1);
                }
                site.new_parameters();
                saved(folder, RULES, site.rules(), dice.one_of(&WAYS)).await;
            }
            Self::Pace => {
                site.new_pace();
                saved(folder, RULES, site.rules(), dice.one_of(&WAYS)).await;
            }
            Self::Script => {
                site.version += 1;
                saved(folder, SCRIPT, site.script(), dice.one_of(&WAYS)).await;
            }
            Self::BrokenRules => {
                let text = site.rules().replace("    timeout:", "    timeuot:");
                saved(folder, RULES, text, dice.one_of(&WAYS)).await;
                sleep(dice.millis(800)).await;
                saved(folder, RULES, site.rules(), Way::Renamed).await;
            }
            Self::BrokenScript => {
                saved(folder, SCRIPT, site::script(BAD).replace("return", "retrun"), dice.one_of(&WAYS)).await;
                sleep(dice.millis(800)).await;
                saved(folder, SCRIPT, site.script(), Way::Renamed).await;
            }
        }
        None
    }
}

/// Saves a file off the runtime's thread.
pub(crate) async fn saved(folder: &Path, name: &str, content: String, way: Way) {
    let path = folder.join(name);
    spawn_blocking(move || save(way, &path, &content)).await.unwrap();
}
