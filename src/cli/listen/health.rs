//! Why the host is not well, or not ready: a line for each cause.

use jiff::Timestamp;

use crate::{
    engine::{Board, Closed, Stalled},
    report::log::escaped,
};

/// The scripts that make no progress.
pub(super) fn stalled(stalled: &[Stalled]) -> Vec<String> {
    let line = |Stalled { script, rules, silent }: &Stalled| {
        let (silent, rules) = (silent.as_secs(), rules.join(", "));
        escaped(&format!("{script} makes no progress for {silent} s; these rules stand still: {rules}"))
    };
    stalled.iter().map(line).collect()
}

/// The streams that should be open and are not.
pub(super) fn closed(board: &Board, now: Timestamp) -> Vec<String> {
    board.closed().iter().map(|closed| line(closed, now)).collect()
}

fn line(closed: &Closed, now: Timestamp) -> String {
    let Closed { subscription, rules, state, cause, next_try } = closed;
    let cause = cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
    let next = next_try.filter(|next| *next > now);
    let next = next.map_or_else(String::new, |next| {
        format!("; next try in {:.0} s", next.duration_since(now).as_secs_f64().ceil())
    });
    escaped(&format!("{subscription} ({}): {state}{cause}{next}", rules.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_stands_still_is_told_with_its_rules() {
        let (rules, silent) = (vec!["a".to_owned(), "b".to_owned()], std::time::Duration::from_millis(61_500));
        let told = stalled(&[Stalled { script: "x.lua".to_owned(), rules, silent }]);
        assert_eq!(told, ["x.lua makes no progress for 61 s; these rules stand still: a, b"]);
    }

    #[test]
    fn a_stream_is_told_with_its_cause_and_its_next_try() {
        let now = Timestamp::from_second(1_000).unwrap();
        let closed = |cause: Option<&str>, next: Option<i64>| Closed {
            subscription: "any".into(),
            rules: ["a".into(), "b\n".into()].into(),
            state: "opening",
            cause: cause.map(str::to_owned),
            next_try: next.map(|at| Timestamp::from_second(at).unwrap()),
        };
        assert_eq!(line(&closed(None, None), now), "any (a, b\\n): opening");
        let told = line(&closed(Some("UNAVAILABLE: gone"), Some(1_007)), now);
        assert_eq!(told, "any (a, b\\n): opening: UNAVAILABLE: gone; next try in 7 s");
        assert_eq!(line(&closed(None, Some(999)), now), "any (a, b\\n): opening");
    }
}
