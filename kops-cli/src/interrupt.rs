//! Ctrl-C: the first lets a run end in order, the second ends it at once.

use tokio_util::sync::CancellationToken;

/// Runs something that can be cancelled, and cancels it when the user interrupts.
pub(crate) async fn until_interrupted<T>(work: impl AsyncFnOnce(&CancellationToken) -> T) -> T {
    let cancel = CancellationToken::new();
    let watch = {
        let cancel = cancel.clone();
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                cancel.cancel();
                // From here on the signal has its usual meaning.
                if tokio::signal::ctrl_c().await.is_ok() {
                    end_at_once();
                }
            }
        })
    };
    let done = work(&cancel).await;
    watch.abort();
    done
}

#[expect(
    clippy::exit,
    reason = "the user has asked twice; whatever is half done is found again by the next run"
)]
fn end_at_once() {
    std::process::exit(130);
}
