use std::path::{Path, PathBuf};

use clap::Args;
use kops_core::node::{Architecture, NODE_PROGRAM, Program, archive, publish};

use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Publish the programs of machines: kops-node, and those of Kubernetes and etcd.
///
/// Machines fetch them from the state store, by hash. What is not published there they fetch from its makers
/// (kops-node excepted). Archives of containerd, etcd and the CNI plugins are published as their makers pack them.
#[derive(Debug, Args)]
pub(crate) struct CreateAssetsArgs {
    /// Programs for Linux, archives of their makers, or directories of them; by default the kops-node beside this program
    #[arg(value_name = "FILE|DIRECTORY")]
    paths: Vec<PathBuf>,
    /// The version of Kubernetes whose machines run them; kops-node needs none
    #[arg(long, value_name = "VERSION")]
    kubernetes_version: Option<String>,
}

pub(crate) async fn run(args: CreateAssetsArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let files = if args.paths.is_empty() { vec![beside()?] } else { programs(&args.paths)? };
    let version = args.kubernetes_version.as_deref();
    if let (None, Some((name, _))) = (version, files.iter().find(|(name, _)| name != NODE_PROGRAM)) {
        return Err(CliError::new(format!("it is not said which machines are to run {name}"))
            .with_hint("give --kubernetes-version"));
    }
    let store = context.store().await?;
    for (name, path) in &files {
        let program = Program { name, kubernetes_version: version, contents: &read(path)? };
        let published = publish(store.as_ref(), program).await?;
        let version = published.kubernetes_version.map(|version| format!(" of Kubernetes {version}"));
        context.terminal.status(format_args!(
            "Published {name}{} for {}: {}",
            version.unwrap_or_default(),
            published.architecture,
            published.sha256
        ));
    }
    Ok(ExitStatus::Done)
}

/// The kops-node that was built or installed together with this program.
fn beside() -> Result<(String, PathBuf), CliError> {
    let own = std::env::current_exe()
        .map_err(|error| CliError::new("cannot tell where this program is").with_source(error))?;
    let path = own.with_file_name(NODE_PROGRAM);
    match path.is_file() {
        true => Ok((NODE_PROGRAM.to_owned(), path)),
        false => Err(CliError::new(format!("there is no {}", path.display()))
            .with_hint("build it (`cargo build --release --package kops-node`), or name its file")),
    }
}

/// The programs that the paths name, by file name. In directories, what is no program is passed over.
fn programs(paths: &[PathBuf]) -> Result<Vec<(String, PathBuf)>, CliError> {
    let mut found = Vec::new();
    for path in paths {
        if !path.is_dir() {
            found.push((file_name(path), path.clone()));
            continue;
        }
        let failed = |error| CliError::new(format!("cannot read {}", path.display())).with_source(error);
        let entries = path.read_dir().and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
        let mut files: Vec<PathBuf> = entries.iter().map(std::fs::DirEntry::path).collect();
        files
            .retain(|file| file.is_file() && (starts_a_program(file) || archive(&file_name(file)).is_some()));
        files.sort();
        if files.is_empty() {
            return Err(CliError::new(format!("{} holds no program for Linux", path.display())));
        }
        found.extend(files.into_iter().map(|file| (file_name(&file), file)));
    }
    Ok(found)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Looks at no more than the header: programs are large.
fn starts_a_program(path: &Path) -> bool {
    use std::io::Read;
    let mut header = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(64).read_to_end(&mut header));
    read.is_ok() && Architecture::of(&header).is_some()
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path)
        .map_err(|error| CliError::new(format!("cannot read {}", path.display())).with_source(error))
}
