use std::collections::BTreeSet;

use clap::Args;
use kops_core::clock::Timestamp;
use kops_core::pki::KeypairSummary;

use crate::cli::Output;
use crate::context::Context;
use crate::error::{CliError, ExitStatus};
use crate::table::{listed, table};

/// Show key pairs, until when their certificates hold, and which of them sign.
#[derive(Debug, Args)]
pub(crate) struct GetKeypairsArgs {
    /// Names of keysets
    keysets: Vec<String>,
    /// Show distrusted key pairs, too
    #[arg(long)]
    distrusted: bool,
    /// Form of the output
    #[arg(short, long, value_enum, default_value = "table")]
    output: Output,
}

pub(crate) async fn run(args: GetKeypairsArgs, context: &Context<'_>) -> Result<ExitStatus, CliError> {
    let name = context.cluster_name(None)?;
    let mut pairs = context.keystore(&name).await?.keypairs(&name).await?;
    if let Some(missing) = args.keysets.iter().find(|keyset| pairs.iter().all(|pair| pair.name != **keyset)) {
        let known: BTreeSet<&str> = pairs.iter().map(|pair| pair.name.as_str()).collect();
        return Err(CliError::new(format!("keyset {missing:?} not found"))
            .with_hint(format!("the cluster has {}", listed(known))));
    }
    pairs.retain(|pair| {
        let chosen = args.keysets.is_empty() || args.keysets.contains(&pair.name);
        chosen && (args.distrusted || pair.distrust_timestamp.is_none())
    });
    if pairs.is_empty() {
        return Err(CliError::new("no keypairs found"));
    }
    match args.output {
        Output::Table => context.terminal.data(rows(&pairs, args.distrusted))?,
        Output::Json => context.terminal.data(format_args!("{:#}\n", serde_json::json!(pairs)))?,
        Output::Yaml => context.terminal.data(kops_core::yaml::write(&pairs)?)?,
    }
    Ok(ExitStatus::Done)
}

fn rows(pairs: &[KeypairSummary], distrusted: bool) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let star = |holds: bool| if holds { "*" } else { "" }.to_owned();
    let row = |pair: &KeypairSummary| {
        let dates = [day(pair.not_before), day(pair.not_after)];
        let flags = [star(pair.is_primary), star(pair.has_private_key)];
        (pair.name.clone(), pair.id.clone(), dates, pair.distrust_timestamp.map(day), flags)
    };
    if distrusted {
        let rows =
            pairs.iter().map(row).map(|(name, id, [issued, expires], distrusted, [primary, private])| {
                [name, id, issued, expires, distrusted.unwrap_or_default(), primary, private]
            });
        let header = ["NAME", "ID", "ISSUED", "EXPIRES", "DISTRUSTED", "PRIMARY", "HASPRIVATE"];
        return table(header, rows.collect());
    }
    let rows = pairs.iter().map(row).map(|(name, id, [issued, expires], _, [primary, private])| {
        [name, id, issued, expires, primary, private]
    });
    table(["NAME", "ID", "ISSUED", "EXPIRES", "PRIMARY", "HASPRIVATE"], rows.collect())
}
