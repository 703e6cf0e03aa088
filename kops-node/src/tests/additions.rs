//! What users put on machines.

use std::os::unix::fs::PermissionsExt;

use super::*;

const ADDITIONS: &str = "
hooks:
- {name: motd.service, manifest: ExecStart=/bin/true}
- {name: update-engine.service, disabled: true}
fileAssets: [{name: tool, path: /usr/local/bin/tool, mode: '0755', isBase64: true, content: /wA=}]
sysctlParameters: [vm.swappiness=1]
";

async fn with_additions() -> Bench {
    let bench = bench_of(&format!("{WORKER}{ADDITIONS}"));
    bench.publish().await;
    bench
}

#[tokio::test]
async fn hooks_run_once_for_each_text_of_them() {
    let mut bench = with_additions().await;
    assert_eq!(bench.problems().await, "");
    let of_hooks = |bench: &Bench| {
        let mut ran = bench.system.ran("systemctl");
        ran.retain(|line| line.contains("motd") || line.contains("update-engine"));
        bench.system.ran.lock().unwrap().clear();
        ran
    };
    let first = of_hooks(&bench);
    assert_eq!(
        first,
        [
            "systemctl restart --no-block motd.service",
            "systemctl cat update-engine.service",
            "systemctl disable --quiet --now update-engine.service",
        ]
    );
    assert_eq!((bench.problems().await, of_hooks(&bench)), (String::new(), vec![]));
    let mut config = (*bench.node.config).clone();
    config.hooks[0].manifest = Some("ExecStart=/bin/false".to_owned());
    bench.node.config = Arc::new(config);
    assert_eq!(bench.problems().await, "");
    assert_eq!(of_hooks(&bench), ["systemctl restart --no-block motd.service"]);
}

#[tokio::test]
async fn a_unit_that_the_image_lacks_is_off() {
    let bench = with_additions().await;
    bench.system.answer("systemctl cat", 1, "");
    assert_eq!(bench.problems().await, "");
    assert!(bench.system.ran("systemctl disable").is_empty());
}

#[tokio::test]
async fn files_are_written_as_they_are() {
    let bench = with_additions().await;
    assert_eq!(bench.problems().await, "");
    let path = bench.node.root.path("/usr/local/bin/tool");
    assert_eq!(std::fs::read(&path).unwrap(), [0xff, 0]);
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o755);
}

#[tokio::test]
async fn a_setting_that_the_kernel_refuses_is_told() {
    let bench = with_additions().await;
    bench.system.answer("sysctl -q -p /etc/sysctl.d/99-manifest.conf", 255, "");
    let errors = bench.node.configure().await;
    let [error] = errors.as_slice() else { panic!("{errors:?}") };
    assert_eq!(error.to_string(), "kernel: sysctl -q failed: no reason given");
    assert_eq!(error.hint.as_deref(), Some("`spec.sysctlParameters` asks for it"));
    assert!(bench.system.ran("systemctl").is_empty());
    bench.system.answers.lock().unwrap().clear();
    bench.system.answer("sysctl -q -p /etc/sysctl.d/99-kubernetes.conf", 255, "");
    assert_eq!(bench.problems().await, "", "what only helps is passed over");
}
