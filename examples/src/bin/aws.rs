//! A cluster's whole life on AWS. It costs money while it runs, and deletes what it made.
//!
//! Run it with `cargo run -p kops-examples --bin aws -- s3://BUCKET NAME.k8s.local`; Ctrl-C stops it after the calls
//! under way. The same command run again goes on from there.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;

use kops_aws::api::AwsOptions;
use kops_aws::provider::AwsProvider;
use kops_aws::{S3Options, S3StateStore};
use kops_core::operation::Event;
use kops_core::operation::Kops;
use kops_examples::{Failure, live_and_die, options};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let (Some(url), Some(name)) = (arguments.next(), arguments.next()) else {
        return Err("usage: aws s3://BUCKET NAME.k8s.local".into());
    };
    let store = S3StateStore::open(&url, S3Options::default()).await?;
    let region = Some("ap-northeast-1".to_owned());
    let provider = AwsProvider::connect(&AwsOptions { region, ..AwsOptions::default() }).await;
    let kops = Kops::new(provider, Arc::new(store));

    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            stop.cancel();
        }
    });
    let observer = |event: &Event| println!("{event:?}");
    let (made, deleted) = live_and_die(&kops, &options(&name, &url)?, &observer, &cancel).await?;
    println!("{made} resources made, {deleted} deleted");
    Ok(())
}
