use std::path::{Path, PathBuf};

use clap::Args;
use kops_core::manifest::{Kind, Manifest, read};

use crate::context::{Context, read_file};
use crate::error::{CliError, ExitStatus};

/// Which manifests.
#[derive(Debug, Args)]
pub(crate) struct FileArgs {
    /// File of manifests (YAML or JSON), a directory of such files, or - for standard input
    #[arg(short, long, value_name = "FILE", value_delimiter = ',')]
    pub filename: Vec<PathBuf>,
}

pub(crate) async fn run(args: FileArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let manifests = read_manifests(&args.filename, context)?;
    context.allow_only(manifests.iter().map(Manifest::cluster_name))?;
    let registry = context.registry().await?;
    registry.create(manifests.clone()).await?;
    for manifest in &manifests {
        match manifest.kind() {
            Kind::SshCredential => context.terminal.status("Added ssh credential"),
            kind => {
                let kind = kind.name().to_lowercase();
                context.terminal.status(format_args!("Created {kind}/{}", manifest.metadata().name));
            }
        }
    }
    if let Some(manifest) = manifests.first() {
        context.terminal.status(format_args!(
            "\nTo deploy these resources, run: kops update cluster {} --yes",
            manifest.cluster_name()
        ));
    }
    Ok(ExitStatus::Done)
}

/// The manifests of all files; every fault of every file at once.
pub(crate) fn read_manifests(paths: &[PathBuf], context: &Context<'_>) -> Result<Vec<Manifest>, CliError> {
    if paths.is_empty() {
        return Err(CliError::new("no file of manifests is named").with_hint("give it with -f FILE"));
    }
    let mut manifests = Vec::new();
    for path in paths.iter().map(|path| files_in(path)).collect::<Result<Vec<_>, _>>()?.concat() {
        let source =
            if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() };
        let read = read(&source, &read_file(&path)?)?;
        read.warnings.iter().for_each(|warning| context.terminal.warning(warning));
        manifests.extend(read.manifests);
    }
    if manifests.is_empty() {
        return Err(CliError::new("the files hold no manifests"));
    }
    Ok(manifests)
}

fn files_in(path: &Path) -> Result<Vec<PathBuf>, CliError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |error| CliError::new(format!("cannot read {}", path.display())).with_source(error);
    let entries = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(failed)?;
    let is_manifest = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension == *known))
    };
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(is_manifest).collect();
    files.sort();
    Ok(files)
}
