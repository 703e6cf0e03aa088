use clap::{Args, ValueEnum};

use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::table::{listed, table};

/// Show the names of a cluster's secrets, or the values of those that are named, when asked for with -o plaintext.
#[derive(Debug, Args)]
pub(crate) struct GetSecretsArgs {
    /// Names of secrets
    secrets: Vec<String>,
    /// Form of the output; plaintext shows values
    #[arg(short, long, value_enum, default_value = "table")]
    output: SecretOutput,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum SecretOutput {
    /// The names
    Table,
    /// The values
    Plaintext,
}

pub(crate) async fn run(args: GetSecretsArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let registry = context.registry().await?;
    if args.output == SecretOutput::Plaintext {
        if args.secrets.is_empty() {
            return Err(
                CliError::new("no secret is named").with_hint("name those whose values are to be shown")
            );
        }
        for secret in &args.secrets {
            let value = registry.secret(&name, secret).await?;
            let text = std::str::from_utf8(value.value())
                .map_err(|_| CliError::new(format!("the secret {secret} is not text")))?;
            context.terminal.data(text)?;
            if !text.ends_with('\n') {
                context.terminal.data("\n")?;
            }
        }
        return Ok(ExitStatus::Done);
    }
    let mut names = registry.secret_names(&name).await?;
    if let Some(missing) = args.secrets.iter().find(|secret| !names.contains(secret)) {
        return Err(CliError::new(format!("secret {missing:?} not found"))
            .with_hint(format!("the cluster has {}", listed(&names))));
    }
    if !args.secrets.is_empty() {
        names.retain(|name| args.secrets.contains(name));
    }
    if names.is_empty() {
        return Err(CliError::new("No secrets found"));
    }
    context.terminal.data(table(["NAME"], names.into_iter().map(|name| [name]).collect()))?;
    Ok(ExitStatus::Done)
}
