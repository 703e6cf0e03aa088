//! Clocks that are wrong.

use std::time::Duration;

use super::control_plane::{changed, pki, updated};
use super::*;

const DAY: i64 = 24;

fn set(bench: &Bench, ahead: SignedDuration) {
    *bench.world.clock_ahead.lock().unwrap() = Some(ahead);
}

#[tokio::test]
async fn nothing_is_issued_by_a_wrong_clock() {
    for (ahead, expected) in [
        (SignedDuration::from_mins(7), "7 minutes ahead of"),
        (SignedDuration::from_hours(-3), "3 h behind"),
        (SignedDuration::from_hours(90 * DAY), "90 days ahead of"),
        (SignedDuration::from_hours(-56 * 365 * DAY), "20440 days behind"),
    ] {
        let bench = updated().await;
        set(&bench, ahead);
        let errors = bench.node.configure().await;
        let [error] = errors.as_slice() else { panic!("{errors:?}") };
        assert_eq!(error.to_string(), format!("clock: the machine's clock is {expected} the cloud's"));
        assert!(error.hint.as_ref().unwrap().contains("timedatectl"), "{error:?}");
        assert!(!bench.node.root.path("/etc/kubernetes/pki").exists());
        assert!(bench.system.ran("systemctl").is_empty());
        set(&bench, SignedDuration::from_mins(-4));
        assert_eq!(bench.problems().await, "");
    }
}

/// Neither are certificates renewed by it, nor does what runs notice.
#[tokio::test]
async fn a_clock_that_goes_wrong_and_right_again_changes_nothing() {
    let mut bench = updated().await;
    set(&bench, SignedDuration::ZERO);
    assert_eq!(bench.problems().await, "");
    let before = pki(&bench);
    bench.system.ran.lock().unwrap().clear();
    let right = bench.clock.now();
    bench.clock.advance(Duration::from_hours(2 * 365 * 24));
    set(&bench, SignedDuration::from_hours(2 * 365 * DAY));
    let problems = bench.problems().await;
    assert_eq!(problems, "clock: the machine's clock is 730 days ahead of the cloud's\n");
    bench.node.clock = Arc::new(ManualClock::new(right));
    set(&bench, SignedDuration::ZERO);
    assert_eq!(bench.problems().await, "");
    assert_eq!(changed(&before, &pki(&bench)), [""; 0]);
    assert_eq!(bench.system.ran("systemctl restart"), [""; 0]);
}

#[tokio::test]
async fn no_worker_joins_by_a_wrong_clock() {
    let bench = bench();
    bench.publish().await;
    set(&bench, SignedDuration::from_hours(-1));
    assert_eq!(bench.problems().await, "clock: the machine's clock is 1 h behind the cloud's\n");
    assert_eq!(bench.node.root.read("/etc/kubernetes/bootstrap-token"), None);
    set(&bench, SignedDuration::ZERO);
    assert_eq!(bench.problems().await, "");
}
