use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, Subcommand};
use kops_core::manifest::{Manifest, read, write};
use kops_core::state::{LoadedCluster, Registry};

use crate::context::Context;
use crate::error::{CliError, ExitStatus};

/// Change a manifest in an editor ($KUBE_EDITOR, $EDITOR or vi).
#[derive(Debug, Subcommand)]
pub(crate) enum EditVerb {
    /// The manifest of a cluster
    Cluster(EditClusterArgs),
    /// The manifest of an instance group
    #[command(name = "instancegroup", visible_aliases = ["ig", "instancegroups"])]
    InstanceGroup(EditGroupArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EditClusterArgs {
    /// Name of the cluster
    cluster: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct EditGroupArgs {
    /// Name of the instance group
    group: String,
}

const HEADER: &str = "\
# Please edit the object below. Lines beginning with a '#' will be ignored,
# and an empty file will abort the edit. If an error occurs while saving, this file is
# opened again with the error above.
";

pub(crate) async fn run(verb: EditVerb, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let registry = context.registry().await?;
    match verb {
        EditVerb::Cluster(args) => {
            let loaded = registry.load(&context.cluster_name(args.cluster.as_deref())?).await?;
            let current = loaded.cluster.clone().into();
            edit(&current, Unchanged::Cancels, context, async |edited| {
                save(&registry, &loaded, None, edited).await
            })
            .await
        }
        EditVerb::InstanceGroup(args) => {
            let loaded = registry.load(&context.cluster_name(None)?).await?;
            let current = loaded.group(&args.group)?.clone().into();
            edit(&current, Unchanged::Cancels, context, async |edited| {
                save(&registry, &loaded, Some(&args.group), edited).await
            })
            .await
        }
    }
}

/// Stores what came out of the editor, unless somebody else changed the manifest in the meantime.
async fn save(
    registry: &Registry,
    loaded: &LoadedCluster,
    group: Option<&str>,
    edited: Manifest,
) -> Result<(), CliError> {
    let cluster = loaded.cluster.name();
    match (group, edited) {
        (None, Manifest::Cluster(edited)) => {
            registry.edit_cluster(cluster, *edited, loaded.cluster_version()?).await?;
        }
        (Some(group), Manifest::InstanceGroup(edited)) => {
            registry.edit_group(cluster, group, *edited, loaded.group_version(group)?).await?;
        }
        (_, other) => {
            return Err(CliError::new(format!(
                "an edit cannot turn the manifest into a {}",
                other.kind().name()
            )));
        }
    }
    Ok(())
}

/// What it means that nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unchanged {
    /// There is nothing to save.
    Cancels,
    /// What is new is saved as it is.
    Saves,
}

/// Opens the editor until the text is right, unchanged, empty, or given up: nothing typed is lost.
pub(super) async fn edit(
    current: &Manifest,
    unchanged: Unchanged,
    context: &Context<'_>,
    save: impl AsyncFn(Manifest) -> Result<(), CliError>,
) -> Result<ExitStatus, CliError> {
    let original = write([current])?;
    let io = |error| CliError::new("cannot edit in a temporary file").with_source(error);
    let directory = tempfile::Builder::new().prefix("kops-edit-").tempdir().map_err(io)?;
    let path = directory.path().join("manifest.yaml");
    let mut text = original.clone();
    let mut problem = String::new();
    loop {
        let before = format!("{problem}{HEADER}{text}");
        write_private(&path, &before).map_err(io)?;
        open_editor(&path)?;
        let after = std::fs::read_to_string(&path).map_err(io)?;
        let edited = strip_comments(&after);
        if edited.trim().is_empty() {
            context.terminal.status("Edit cancelled, saved file was empty.");
            return Ok(ExitStatus::Done);
        }
        if unchanged == Unchanged::Cancels && edited == strip_comments(&original) {
            context.terminal.status("Edit cancelled, no changes made.");
            return Ok(ExitStatus::Done);
        }
        let error = match parse(&edited, context) {
            Ok(manifest) => match save(manifest).await {
                Ok(()) => return Ok(ExitStatus::Done),
                Err(error) => error,
            },
            Err(error) => error,
        };
        if edited == strip_comments(&before) {
            let kept = keep(directory)?;
            return Err(
                error.with_hint(format!("A copy of your changes has been stored to \"{}\"", kept.display()))
            );
        }
        problem = error.to_string().lines().map(|line| format!("# {line}\n")).collect();
        text = edited;
    }
}

fn parse(text: &str, context: &Context<'_>) -> Result<Manifest, CliError> {
    let read = read("the edited manifest", text)?;
    read.warnings.iter().for_each(|warning| context.terminal.warning(warning));
    let mut manifests = read.manifests.into_iter();
    match (manifests.next(), manifests.next()) {
        (Some(manifest), None) => Ok(manifest),
        _ => Err(CliError::new("the edited file has to hold one manifest")),
    }
}

fn strip_comments(text: &str) -> String {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| format!("{line}\n")).collect()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file?.write_all(text.as_bytes())
}

fn keep(directory: tempfile::TempDir) -> Result<PathBuf, CliError> {
    Ok(directory.keep().join("manifest.yaml"))
}

/// Runs the editor as a shell would: the variable may hold options.
fn open_editor(path: &Path) -> Result<(), CliError> {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
    let editor = variable("KUBE_EDITOR").or_else(|| variable("EDITOR")).unwrap_or_else(|| "vi".to_owned());
    let status = Command::new("sh").arg("-c").arg(format!("{editor} \"$1\"")).arg("sh").arg(path).status();
    let failed = || {
        CliError::new(format!("the editor {editor:?} failed"))
            .with_hint("set EDITOR to one that works; nothing was changed")
    };
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed()),
        Err(error) => Err(failed().with_source(error)),
    }
}
