use std::collections::BTreeSet;

use clap::{Args, Subcommand};
use kops_core::manifest::{Manifest, read, write};
use kops_core::state::{LoadedCluster, Registry, RegistryError};

use crate::context::Context;
use crate::editor::{Draft, without_comments};
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

/// How often a program that no person works with may try: it learns nothing from errors.
const TRIES_WITHOUT_PERSON: usize = 5;

pub(crate) async fn run(verb: EditVerb, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let registry = context.registry().await?;
    match verb {
        EditVerb::Cluster(args) => {
            let loaded = registry.load(&context.cluster_name(args.cluster.as_deref())?).await?;
            let current = loaded.cluster.clone().into();
            edit(&current, Unchanged::Cancels, context, async |edited| {
                save(&registry, &loaded, None, edited).await?;
                told("cluster", loaded.cluster.name(), &loaded, context);
                Ok(())
            })
            .await
        }
        EditVerb::InstanceGroup(args) => {
            let loaded = registry.load(&context.cluster_name(None)?).await?;
            let current = loaded.group(&args.group)?.clone().into();
            edit(&current, Unchanged::Cancels, context, async |edited| {
                save(&registry, &loaded, Some(&args.group), edited).await?;
                told("instancegroup", &args.group, &loaded, context);
                Ok(())
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
) -> Result<(), Refused> {
    let cluster = loaded.cluster.name();
    match (group, edited) {
        (None, Manifest::Cluster(edited)) => {
            registry.edit_cluster(cluster, *edited, loaded.cluster_version()?).await?;
        }
        (Some(group), Manifest::InstanceGroup(edited)) => {
            registry.edit_group(cluster, group, *edited, loaded.group_version(group)?).await?;
        }
        (_, other) => {
            let kind = other.kind().name();
            return Err(Refused::Text(CliError::new(format!(
                "an edit cannot turn the manifest into a {kind}"
            ))));
        }
    }
    Ok(())
}

/// Tells that a manifest is stored, and that this is not all.
fn told(kind: &str, name: &str, loaded: &LoadedCluster, context: &Context<'_>) {
    let cluster = loaded.cluster.name();
    context.terminal.status(format_args!(
        "Updated {kind}/{name}\n\nTo deploy it, run: kops update cluster {cluster} --yes"
    ));
}

/// Why an edited manifest was not stored.
pub(super) enum Refused {
    /// Something is wrong with the text: another one may be taken.
    Text(CliError),
    /// No text would be taken: somebody else was faster, or the store cannot be written to.
    Any(CliError),
}

impl From<RegistryError> for Refused {
    fn from(error: RegistryError) -> Self {
        match error {
            RegistryError::Invalid(_) | RegistryError::AlreadyExists { .. } => Self::Text(error.into()),
            error => Self::Any(
                CliError::from(error).and_hint("edit it again: that starts from what is stored by then"),
            ),
        }
    }
}

/// What it means that nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unchanged {
    /// There is nothing to save.
    Cancels,
    /// What is new is saved as it is.
    Saves,
}

/// Opens the editor until the text is right, unchanged, empty, or given up. Whatever was typed and not stored stays in a
/// file, which the error names.
pub(super) async fn edit(
    current: &Manifest,
    unchanged: Unchanged,
    context: &Context<'_>,
    save: impl AsyncFn(Manifest) -> Result<(), Refused>,
) -> Result<ExitStatus, CliError> {
    let original = without_comments(&write([current])?);
    let mut draft = Draft::new()?;
    let mut text = original.clone();
    let mut problem = String::new();
    let mut refused = BTreeSet::new();
    loop {
        draft.write(&format!("{problem}{HEADER}"), &text)?;
        let edited = draft.open().await?;
        if edited.trim().is_empty() {
            context.terminal.status("Edit cancelled, saved file was empty.");
            return Ok(ExitStatus::Done);
        }
        if unchanged == Unchanged::Cancels && edited == original {
            context.terminal.status("Edit cancelled, no changes made.");
            return Ok(ExitStatus::Done);
        }
        let error = match parse(&edited, context) {
            Ok(manifest) => match save(manifest).await {
                Ok(()) => return Ok(ExitStatus::Done),
                Err(Refused::Text(error)) => error,
                Err(Refused::Any(error)) => return Err(draft.keep(error)),
            },
            Err(error) => error,
        };
        let is_tried_before = !refused.insert(edited.clone());
        let is_hopeless = !context.terminal.is_interactive() && refused.len() >= TRIES_WITHOUT_PERSON;
        if is_tried_before || is_hopeless {
            return Err(draft.keep(error));
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
