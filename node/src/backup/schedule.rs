//! The daily backup of a running node.

use std::sync::Arc;
use std::time::Duration;

use yunling_protocol::day::UnixTime;

use super::CreateRequest;
use super::state::State;
use crate::service::Node;

/// How often it is looked whether one is due; also how long after a start the first may begin.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How long after a failure it is tried again, seconds.
const AGAIN_AFTER: i64 = 3600;
const DAY_SECONDS: i64 = 24 * 3600;

/// Whether a daily run is due: none was made since the newest `hour` o'clock.
pub fn due(state: &State, hour: u8, now: UnixTime) -> bool {
    let today = now.day().start().0 + i64::from(hour) * 3600;
    let newest = if today <= now.0 { today } else { today - DAY_SECONDS };
    // One from the future was made by a wrong clock and does not stop the daily run.
    let made = state.made_at.is_some_and(|at| at >= newest && at <= now.0);
    // `backup create` writes its failures too: no storm of tries after either.
    let failed = state.failure.as_ref().is_some_and(|f| (0..AGAIN_AFTER).contains(&(now.0 - f.at)));
    !made && !failed
}

/// Makes the daily backup, for ever.
pub async fn daily(node: Arc<Node>) {
    let section = &node.home.config.backup;
    if !section.daily {
        return;
    }
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !due(&State::load(&node.home.path), section.hour, node.home.clock.now()) {
            continue;
        }
        let maker = node.clone();
        // The outcome is in the state file and in the log.
        let _ = tokio::task::spawn_blocking(move || maker.create_backup(&CreateRequest::default())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backup::state::Failed;

    #[test]
    fn a_run_is_due_once_after_its_hour_and_a_missed_one_is_made_up_for() {
        let at = |h: u32| UnixTime::from_local(2026, 5, 16, h, 0, 0).unwrap_or(UnixTime(0));
        let state = |t: UnixTime| State { made_at: Some(t.0), ..State::default() };
        assert!(due(&State::default(), 3, at(1)), "a node without any");
        assert!(!due(&state(UnixTime(at(3).0 - DAY_SECONDS)), 3, at(2)), "yesterday's still counts");
        assert!(due(&state(UnixTime(at(3).0 - DAY_SECONDS)), 3, at(3)));
        assert!(!due(&state(at(3)), 3, at(23)));
        assert!(due(&state(at(23)), 3, at(4)), "a wrong clock");
        let failed = State { failure: Some(Failed { code: "x".into(), at: at(3).0 }), ..State::default() };
        assert!(!due(&failed, 3, UnixTime(at(3).0 + 60)));
        assert!(due(&failed, 3, at(4)));
    }
}
