use clap::Args;

use crate::aws::{Bucket, create_state_store};
use crate::error::{CliError, ExitStatus};
use crate::simulation::Simulation;
use crate::terminal::Terminal;

/// Make a private, encrypted, versioned bucket to keep manifests in, and print the IAM policy of those who work on it.
#[derive(Debug, Args)]
pub(crate) struct CreateStateStoreArgs {
    /// The bucket: s3://BUCKET
    url: String,
    /// Region of the bucket [default: that of the AWS settings]
    #[arg(long)]
    region: Option<String>,
    /// KMS key to encrypt with [default: S3's own keys]
    #[arg(long, value_name = "ARN")]
    kms_key: Option<String>,
}

pub(crate) async fn run(args: CreateStateStoreArgs, terminal: &Terminal) -> Result<ExitStatus, CliError> {
    if let Some(Simulation { by, .. }) = Simulation::asked_for(None)? {
        return Err(CliError::new(
            "a simulated cloud keeps its manifests in a directory and needs no bucket",
        )
        .with_hint(format!("unset {by} to make one on AWS")));
    }
    let url = &args.url;
    let Bucket { is_new, region, policy } = create_state_store(url, args.region, args.kms_key).await?;
    let word = if is_new { "Created" } else { "Set up" };
    terminal.status(format_args!(
        "{word} {url} in {region}: private, versioned, encrypted. Old versions go after 90 days, unless\n\
         the bucket has lifecycle rules of its own.\n\n\
         Use it with: export KOPS_STATE_STORE={url}\n\n\
         Those who run kops on it need this IAM policy:"
    ));
    terminal.data(format_args!("{}\n", policy.trim_end()))?;
    Ok(ExitStatus::Done)
}
