use std::path::PathBuf;

use clap::Args;
use kops_core::pki::{Certificate, Material, PrivateKey, Standing};

use crate::context::{Context, read_file};
use crate::error::{CliError, ExitStatus};

/// Add a key pair to a keyset: a new one, or what files hold.
///
/// It is trusted from the next update and rolling update on. Promote it then, and distrust the old one when everything
/// that it signed has been replaced.
#[derive(Debug, Args)]
pub(crate) struct CreateKeypairArgs {
    /// Name of the keyset, or all for every one whose keys are rotated
    keyset: String,
    /// File with the certificate
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// File with the private key
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Let it sign at once
    #[arg(long)]
    primary: bool,
}

pub(crate) async fn run(args: CreateKeypairArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let keystore = context.keystore(&name).await?;
    let material = Material {
        certificate: args
            .cert
            .as_deref()
            .map(read_file)
            .transpose()?
            .map(Certificate::from_pem)
            .transpose()?,
        key: args.key.as_deref().map(read_file).transpose()?.map(PrivateKey::from_pem).transpose()?,
    };
    let standing = if args.primary { Standing::Primary } else { Standing::Secondary };
    let brought = args.cert.is_some() || args.key.is_some();
    for keyset in named(&args.keyset, brought, context).await? {
        let id = keystore.add_keypair(&name, &keyset, material.clone(), standing).await?;
        context.terminal.status(format_args!("Created {keyset} {id}"));
    }
    Ok(ExitStatus::Done)
}

/// The keyset of that name, or every one whose keys are rotated.
pub(super) async fn named(
    keyset: &str,
    of_one: bool,
    context: &Context<'_>,
) -> Result<Vec<String>, CliError> {
    match keyset {
        "all" if of_one => Err(CliError::new("what belongs to one keyset cannot be said of all")),
        "all" => {
            let name = context.cluster_name(None)?;
            Ok(context.keystore(&name).await?.rotatable(&name).await?)
        }
        one => Ok(vec![one.to_owned()]),
    }
}
