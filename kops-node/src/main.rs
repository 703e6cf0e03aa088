//! The command: `kops-node --config FILE` installs itself as a service, which does the work (`run`).

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};
use kops_aws::api::{AwsMachine, AwsOptions, aws_config};
use kops_aws::{S3Options, S3StateStore};
use kops_core::clock::SystemClock;
use kops_core::error::Retry;
use kops_core::manifest::Role;
use kops_core::node::NodeConfig;
use kops_core::node::console::ALL_IS_WELL;
use kops_node::{
    Downloads, Lock, Looks, Names, Node, NodeError, Problem, Programs, Root, Status, System, Tls, Waiting,
};
use tokio::sync::watch;

/// Turns this machine into a node of its cluster, and keeps it one.
///
/// AWS is reached as its SDKs say: AWS_ENDPOINT_URL and AWS_EC2_METADATA_SERVICE_ENDPOINT name other services.
#[derive(Debug, Parser)]
#[command(name = "kops-node", version)]
struct Cli {
    /// The configuration of the machine's group.
    #[arg(long, global = true, default_value = "/opt/kops/conf/node.yaml")]
    config: PathBuf,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Does the work, and goes on doing it. Without a verb: a service is installed that does this.
    Run,
    /// Says what the machine is waiting for.
    Status,
}

/// The service that runs this program.
const UNIT: &str = "kops-node.service";
/// How long all stays as it is before it is looked at again, unless gossip tells anything new.
const ROUND: Duration = Duration::from_secs(10);
/// How many such rounds go by before everything is looked at again: keysets are rotated, certificates renewed.
const ROUNDS: u32 = 60;
/// How many of them go by before it is looked whether somebody asks for a restore: each look is a call that costs.
const RESTORES: u32 = 3;
/// How often a machine checks whether it is time for a backup, or somebody asks for one, and whether members have to go.
const BACKUPS: Duration = Duration::from_secs(30);
/// How long to wait for what comes by itself.
const SOON: Duration = Duration::from_secs(2);
/// How long what comes by itself is waited for so eagerly, and how long then at the usual pace: what lasts longer is broken,
/// and asking for it serves nobody.
const EAGER: Duration = Duration::from_mins(1);
const HOPEFUL: Duration = Duration::from_mins(10);
/// How long to wait for what does not come.
const SELDOM: Duration = Duration::from_mins(1);
/// How long to wait whatever is told: machines may come and go without end.
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let root = Root::new("/");
    let result = match cli.verb {
        None => install(&cli.config, &root).await,
        Some(Verb::Run) => run(&cli.config, root).await,
        Some(Verb::Status) => return status(&root),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&Problem::from(&error));
            ExitCode::FAILURE
        }
    }
}

/// What is read by nobody is nobody's loss: the journal may be gone.
fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

fn tell(problem: &Problem) {
    say(&problem.to_string());
}

async fn install(config: &std::path::Path, root: &Root) -> Result<(), NodeError> {
    const STEP: &str = "install";
    let program = std::env::current_exe().map_err(|error| NodeError::lasting(STEP, error.to_string()))?;
    let unit = format!(
        "[Unit]\nDescription=Turns this machine into a Kubernetes node\nAfter=network-online.target\n\
         Wants=network-online.target\nStartLimitIntervalSec=0\n\n\
         [Service]\nExecStart={} --config {} run\nRestart=always\nRestartSec=2\n\n\
         [Install]\nWantedBy=multi-user.target\n",
        program.display(),
        config.display(),
    );
    root.write(STEP, &format!("/etc/systemd/system/{UNIT}"), unit.as_bytes(), 0o644)?;
    for arguments in [&["daemon-reload"][..], &["enable", "--quiet", UNIT], &["restart", "--no-block", UNIT]]
    {
        let output = Programs.run("systemctl", arguments, "").await;
        let output = output.map_err(|error| NodeError::lasting(STEP, format!("systemctl: {error}")))?;
        if !output.is_ok() {
            return Err(NodeError::lasting(
                STEP,
                format!("systemctl {}: {}", arguments[0], output.stderr.trim()),
            ));
        }
    }
    say("the service kops-node is started; `kops-node status` says how far it is");
    Ok(())
}

async fn node(config: &std::path::Path, root: Root) -> Result<Node, NodeError> {
    const STEP: &str = "configuration";
    let text = std::fs::read_to_string(config).map_err(|error| NodeError::of_file(STEP, config, error))?;
    let config = NodeConfig::read(&text).map_err(|error| NodeError::lasting(STEP, error.to_string()))?;
    let state = config.state.clone();
    let state = state.ok_or_else(|| {
        NodeError::lasting(STEP, "the cluster's state is where machines cannot reach it")
            .with_hint("keep the state in a bucket (s3://…) and update the cluster")
    })?;
    let aws = aws_config(&AwsOptions { region: Some(state.region.clone()), endpoint: None }).await;
    let options = S3Options {
        endpoint: aws.endpoint_url().map(str::to_owned),
        config: Some(aws.clone()),
        ..S3Options::default()
    };
    // A machine knows where the bucket is, and may not look at it.
    let store = S3StateStore::in_region(&state.store, &state.region, options).await;
    let store = store.map_err(|error| NodeError::of_store("state store", error))?;
    let web = kops_core::web::Client::new().map_err(|error| NodeError::lasting(STEP, error.to_string()))?;
    Ok(Node {
        config: Arc::new(config),
        cloud: Arc::new(AwsMachine::new(&aws)),
        store: Arc::new(store),
        clock: Arc::new(SystemClock),
        system: Arc::new(Programs),
        root,
        names: Arc::new(Names::default()),
        looks: Arc::new(Looks::default()),
        https: Arc::new(Tls),
        downloads: Arc::new(Downloads::new(Arc::new(web))),
        waiting: Arc::new(Waiting::default()),
    })
}

/// Ends only when something is wrong before any step; systemd then starts it again.
async fn run(config: &std::path::Path, root: Root) -> Result<(), NodeError> {
    let _lock = Lock::take(&root)?;
    let node = match node(config, root.clone()).await {
        Ok(node) => node,
        Err(error) => {
            let status = Status { problems: vec![Problem::from(&error)] };
            // Systemd starts this program again at once: only news are told.
            if Status::load(&root).is_none_or(|last| last.essence() != status.essence()) {
                status.tell_console(&root);
            }
            status.save(&root)?;
            return Err(error);
        }
    };
    let start = Instant::now();
    let upkeep = keep_etcd(&node);
    let admission = admit(&node);
    let mut last: Option<Status> = None;
    let (mut settled, mut rounds) = (false, 0);
    let mut since = Instant::now();
    let mut refused = 0;
    loop {
        // What is as it should be stays so for a while; only machines come and go, and people ask for restores.
        let mut errors = Vec::new();
        if settled && rounds < ROUNDS {
            rounds += 1;
            errors.extend(node.listen().await);
            if rounds.is_multiple_of(RESTORES) {
                errors.extend(node.restores_asked().await);
            }
        } else {
            rounds = 0;
            errors.extend(node.configure().await);
        }
        settled = errors.is_empty();
        // First, for it may be the reason of everything else. Nobody has to look at all again because of it.
        let faults = node.watch().await;
        let problems = faults.iter().chain(&errors).map(Problem::from).chain(upkeep.borrow().clone());
        let problems = problems.chain(admission.borrow().clone());
        let status = Status { problems: problems.collect() };
        status.save(&root)?;
        // Last words change all the time.
        if last.as_ref().is_none_or(|last| last.essence() != status.essence()) {
            status.problems.iter().for_each(tell);
            status.tell_console(&root);
            if status.problems.is_empty() {
                say(&format!("{ALL_IS_WELL}, {:.1} s after the start", start.elapsed().as_secs_f32()));
            }
            last = Some(status);
        }
        let dropped = node.names.refused().await.saturating_sub(refused);
        if dropped > 0 {
            refused += dropped;
            say(&format!("gossip: {dropped} datagrams were not of this cluster and were dropped"));
        }
        if settled {
            since = Instant::now();
        }
        let is_soon = comes_by_itself(&errors) || node.names.are_about_to_change().await;
        tokio::time::sleep(PAUSE).await;
        tokio::select! {
            () = tokio::time::sleep(pause(is_soon, since.elapsed()) - PAUSE) => {}
            () = node.names.changed() => {}
        }
    }
}

/// How long to wait after a round, when something has been in the way for so long.
fn pause(is_soon: bool, in_vain: Duration) -> Duration {
    match in_vain {
        _ if in_vain > HOPEFUL => SELDOM,
        _ if is_soon && in_vain < EAGER => SOON,
        _ => ROUND,
    }
}

fn comes_by_itself(errors: &[NodeError]) -> bool {
    errors.iter().any(|error| error.retry != Retry::Never)
}

/// Keeps etcd's members and takes backups beside everything else, which never waits for them. What is received is what
/// cannot be done.
fn keep_etcd(node: &Node) -> watch::Receiver<Vec<Problem>> {
    let (tell, problems) = watch::channel(Vec::new());
    let node = node.clone();
    tokio::spawn(async move {
        while !node.config.etcd.is_empty() {
            let mut errors = node.keep_members().await;
            errors.extend(node.back_up().await);
            tell.send_replace(errors.iter().map(Problem::from).collect());
            tokio::time::sleep(if comes_by_itself(&errors) { ROUND } else { BACKUPS }).await;
        }
    });
    problems
}

/// Answers the requests of nodes beside everything else: machines that join wait for it. What is received is what cannot be
/// done.
fn admit(node: &Node) -> watch::Receiver<Vec<Problem>> {
    let (tell, problems) = watch::channel(Vec::new());
    let node = node.clone();
    if node.config.role == Role::ControlPlane {
        tokio::spawn(async move {
            loop {
                let errors = node.answer_requests().await;
                tell.send_replace(errors.iter().map(Problem::from).collect());
                tokio::time::sleep(SOON).await;
            }
        });
    }
    problems
}

fn status(root: &Root) -> ExitCode {
    let is_at_work = Lock::is_held(root);
    if !is_at_work {
        say(&format!("{UNIT} is not at work, or only root may see it (`journalctl -u {UNIT}` says why)"));
    }
    match Status::load(root) {
        None => say("no run has ended yet since the machine was switched on"),
        Some(status) if status.problems.is_empty() && is_at_work => {
            say(ALL_IS_WELL);
            return ExitCode::SUCCESS;
        }
        Some(status) => status.problems.iter().for_each(tell),
    }
    ExitCode::FAILURE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lasts_is_tried_less_and_less_often() {
        let minutes = Duration::from_mins;
        for (is_soon, in_vain, expected) in [
            (true, minutes(0), SOON),
            (false, minutes(0), ROUND),
            (true, minutes(2), ROUND),
            (true, minutes(11), SELDOM),
            (false, minutes(11), SELDOM),
        ] {
            assert_eq!(pause(is_soon, in_vain), expected, "{in_vain:?}");
        }
    }
}
