use kops_core::cloud::CloudError;
use kops_core::error::{Cause, ErrorClass, Retry};
use kops_core::etcd::EtcdError;
use kops_core::state::StateError;

/// Why a step could not be done: which, why, whether waiting helps, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {reason}")]
pub struct NodeError {
    /// The step, as `kops-node status` names it.
    pub step: String,
    /// Why it failed.
    pub reason: String,
    /// Whether doing it again can help without anybody doing anything.
    pub retry: Retry,
    /// What to do.
    pub hint: Option<String>,
    /// The last lines of what failed, in its own words.
    pub said: Vec<String>,
    /// The cause.
    #[source]
    pub source: Option<Cause>,
}

/// What a step comes to.
pub type Done = Result<(), NodeError>;

impl NodeError {
    /// A failure that waiting does not cure.
    pub fn lasting(step: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            step: step.into(),
            reason: reason.into(),
            retry: Retry::Never,
            hint: None,
            said: Vec::new(),
            source: None,
        }
    }

    /// Something that is not there yet.
    pub fn waiting(step: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { retry: Retry::WhenFree, ..Self::lasting(step, reason) }
    }

    /// A failure of the state store.
    pub fn of_store(step: impl Into<String>, error: StateError) -> Self {
        let (mut retry, mut hint) = (error.retry(), error.hint().map(str::to_owned));
        // Who may not list a bucket is refused what is not there yet, too.
        if matches!(&error, StateError::Failed(failed) if failed.class == ErrorClass::Denied && failed.operation == "read")
        {
            retry = Retry::WhenFree;
            hint = hint.map(|hint| format!("it may not be there yet; otherwise {hint}"));
        }
        Self { retry, hint, ..Self::lasting(step, error.to_string()) }.with_source(error)
    }

    /// A failure about backups of etcd.
    pub fn of_etcd(step: impl Into<String>, error: EtcdError) -> Self {
        match error {
            EtcdError::Store(error) => Self::of_store(step, error),
            error => Self { hint: error.hint(), ..Self::lasting(step, error.to_string()) }.with_source(error),
        }
    }

    /// A failure of the cloud.
    pub fn of_cloud(step: impl Into<String>, mut error: CloudError) -> Self {
        let hint = error.hint.take().map(Into::into);
        Self { retry: error.retry, hint, ..Self::lasting(step, error.to_string()) }.with_source(error)
    }

    /// A failure of the machine's own files.
    pub fn of_file(step: impl Into<String>, path: &std::path::Path, error: std::io::Error) -> Self {
        Self::lasting(step, format!("{}: {error}", path.display())).with_source(error)
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the last words of what failed.
    #[must_use]
    pub fn with_said(mut self, lines: Vec<String>) -> Self {
        self.said = lines;
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(source.into());
        self
    }
}
