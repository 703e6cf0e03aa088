//! Units that do not stay up: what the status, the log and the machine's console say of them.

use super::*;

/// What systemd says of a unit; `started` is how long after the boot its process was started, in seconds.
fn shown(unit: &str, active: &str, sub: &str, restarts: u32, started: u64) -> String {
    format!(
        "Id={unit}\nLoadState=loaded\nActiveState={active}\nSubState={sub}\nNRestarts={restarts}\n\
         ExecMainStartTimestampMonotonic={}\nJob=0\n\n",
        started * 1_000_000,
    )
}

/// A worker that is done, an hour after its boot.
async fn worker(config: &str) -> Bench {
    let bench = bench_of(config);
    bench.publish().await;
    assert_eq!(bench.problems().await, "");
    bench.node.root.write("test", "/proc/uptime", b"3600.00 100.00\n", 0o644).unwrap();
    bench
}

impl Bench {
    /// What is wrong with a worker's units when systemd says this of its kubelet.
    async fn faults_of_kubelet(&self, kubelet: &str) -> String {
        let others = ["containerd.service", "kube-proxy.service"];
        let others = others.map(|unit| shown(unit, "active", "running", 0, 10)).concat();
        self.system.answer("systemctl show", 0, &format!("{others}{kubelet}"));
        self.node.watch().await.iter().map(|error| format!("{}\n", Problem::from(error))).collect()
    }
}

#[tokio::test]
async fn a_unit_that_does_not_stay_up_is_named_with_its_own_last_words() {
    const ENDS: &str = "unit kubelet.service: it does not stay up: it ends, and systemd starts it again and again \
                        (`journalctl -u kubelet.service` has all that it says)\n    E1126 unknown flag\n    Usage:\n";
    let bench = worker(WORKER).await;
    let words = "journalctl --no-pager -o cat -n 3 _SYSTEMD_UNIT=kubelet.service";
    bench.system.answer(words, 0, "E1126 unknown flag\n\n  Usage:\n");
    let kubelet = |active, sub, restarts, started| shown("kubelet.service", active, sub, restarts, started);
    for (state, expected) in [
        (kubelet("active", "running", 0, 3599), ""),
        // At the start, units end until what they need is there.
        (kubelet("activating", "auto-restart", 4, 3599), ""),
        (kubelet("activating", "auto-restart", 5, 3599), ENDS),
        // Between two ends, it runs for a moment.
        (kubelet("active", "running", 900, 3599), ENDS),
        (kubelet("active", "running", 900, 3500), ""),
    ] {
        assert_eq!(bench.faults_of_kubelet(&state).await, expected, "{state}");
    }
    let failed = bench.faults_of_kubelet(&kubelet("failed", "failed", 0, 0)).await;
    assert!(failed.starts_with("unit kubelet.service: it has failed ("), "{failed}");
    let stopped = bench.faults_of_kubelet(&kubelet("inactive", "dead", 0, 0)).await;
    assert!(stopped.starts_with("unit kubelet.service: it is not running ("), "{stopped}");
    let asked = kubelet("inactive", "dead", 0, 0).replace("Job=0", "Job=77");
    assert_eq!(bench.faults_of_kubelet(&asked).await, "", "it is about to be started");
}

#[tokio::test]
async fn what_never_came_to_speak_is_spoken_for_by_systemd() {
    let bench = worker(WORKER).await;
    let failed =
        "kubelet.service: Failed to locate executable /opt/kops/bin/kubelet: No such file or directory";
    bench.system.answer("journalctl --no-pager -o cat -n 3 -u kubelet.service", 0, failed);
    let kubelet = shown("kubelet.service", "activating", "auto-restart", 9, 3599);
    let faults = bench.faults_of_kubelet(&kubelet).await;
    assert!(faults.ends_with(&format!("\n    {failed}\n")), "{faults}");
}

#[tokio::test]
async fn what_a_hook_says_stays_in_the_journal() {
    let bench =
        worker(&format!("{WORKER}hooks: [{{name: motd.service, manifest: ExecStart=/bin/true}}]\n")).await;
    bench.system.answer("journalctl", 0, "the password is hunter2");
    let done = bench.faults_of_kubelet(&shown("motd.service", "inactive", "dead", 0, 0)).await;
    assert_eq!(done, "", "a hook that is done is done");
    let faults = bench.faults_of_kubelet(&shown("motd.service", "failed", "failed", 0, 0)).await;
    assert_eq!(
        faults,
        "unit motd.service: it has failed (`journalctl -u motd.service` has all that it says)\n"
    );
}

#[tokio::test]
async fn nothing_is_said_of_units_that_were_never_started() {
    let bench = bench();
    let kubelet = shown("kubelet.service", "inactive", "dead", 0, 0);
    assert_eq!(bench.faults_of_kubelet(&kubelet).await, "");
    assert!(bench.system.ran("systemctl").is_empty());
}

#[tokio::test]
async fn the_console_gets_one_line_that_the_cloud_can_show() {
    let root = Root::new(tempfile::tempdir().unwrap().keep());
    let error =
        NodeError::lasting("unit kubelet.service", "it has failed").with_said(vec!["a".into(), "b".into()]);
    let status = Status { problems: vec![Problem::from(&error)] };
    status.tell_console(&root);
    assert!(!root.path("/dev/console").exists(), "a machine without a console gets none");
    root.write("test", "/dev/console", b"[ 1.0] Linux\n", 0o600).unwrap();
    status.tell_console(&root);
    let console = || String::from_utf8(root.read("/dev/console").unwrap()).unwrap();
    let words = kops_core::node::console::last_words(&console());
    assert_eq!(words.as_deref(), Some("unit kubelet.service: it has failed (its last words: a | b)"));
    Status::default().tell_console(&root);
    assert_eq!(kops_core::node::console::last_words(&console()), None);
}
