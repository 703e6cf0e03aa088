use clap::Args;
use kops_core::ssh::PublicKey;
use serde::Serialize;

use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::table::table;

/// Show the SSH public keys that may log in to a cluster's machines, by their MD5 fingerprints.
#[derive(Debug, Args)]
pub(crate) struct GetSshKeysArgs {
    /// Name of the cluster
    cluster: Option<String>,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Key {
    id: String,
    public_key: String,
}

pub(crate) async fn run(args: GetSshKeysArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(args.cluster.as_deref())?;
    let loaded = context.registry().await?.load(&name).await?;
    let keys = loaded.ssh_keys.into_iter().filter_map(|credential| {
        let public_key = credential.spec.public_key;
        Some(Key { id: PublicKey::parse(&public_key).ok()?.fingerprint(), public_key })
    });
    let keys: Vec<Key> = keys.collect();
    if keys.is_empty() {
        return Err(CliError::new("No SSH public keys found"));
    }
    match args.output {
        Output::Table => {
            context.terminal.data(table(["ID"], keys.into_iter().map(|key| [key.id]).collect()))?
        }
        Output::Json => context.terminal.data(format_args!("{:#}\n", serde_json::json!(keys)))?,
        Output::Yaml => context.terminal.data(kops_core::yaml::write(&keys)?)?,
    }
    Ok(ExitStatus::Done)
}
