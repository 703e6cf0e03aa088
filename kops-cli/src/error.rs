//! How a command ends.

use std::fmt;
use std::process::ExitCode;

use kops_core::apply::Incomplete;
use kops_core::create::CreateError;
use kops_core::kubeconfig::KubeconfigError;
use kops_core::lease::LeaseError;
use kops_core::manifest::ManifestError;
use kops_core::node::CatalogError;
use kops_core::operation::OperationError;
use kops_core::pki::PkiError;
use kops_core::plan::ReadPlanError;
use kops_core::provider::ProviderError;
use kops_core::sim::OpenSimError;
use kops_core::state::{RegistryError, StateError};
use kops_core::yaml::WriteError;

use crate::signal::Ending;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The exit status of a command: part of its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// 0: done, or nothing to do.
    Done,
    /// 1: something failed.
    Failed,
    /// 2: changes are pending (a preview with `--detailed-exitcode`).
    Pending,
    /// 2: the cluster is not healthy (`validate cluster`).
    Unhealthy,
    /// 3: the user was asked and said no.
    Declined,
    /// 128 and the signal's number, as shells count: the run was ended at once, or nobody read its output any more.
    Signal(u8),
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(match status {
            ExitStatus::Done => 0,
            ExitStatus::Failed => 1,
            ExitStatus::Pending | ExitStatus::Unhealthy => 2,
            ExitStatus::Declined => 3,
            ExitStatus::Signal(number) => number.saturating_add(128),
        })
    }
}

/// An error as the command shows it: what failed, its causes, and what can be done.
#[derive(Debug)]
pub struct CliError {
    message: String,
    source: Option<Cause>,
    hint: Option<String>,
    status: ExitStatus,
}

/// The number of the signal that tells a program that nobody reads its output.
const SIGPIPE: u8 = 13;

impl CliError {
    /// An error without a cause.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None, hint: None, status: ExitStatus::Failed }
    }

    /// The user, or the system, wants no more of it.
    pub(crate) fn ended_by(ending: Ending) -> Self {
        Self {
            status: ExitStatus::Signal(ending.number()),
            ..Self::new(format!("ended by {}", ending.name()))
        }
    }

    /// Data could not be written. A reader that is gone has seen enough, so nothing is said then.
    pub(crate) fn unwritten(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Self { status: ExitStatus::Signal(SIGPIPE), ..Self::new("") };
        }
        Self::new("cannot write to standard output").with_source(error)
    }

    /// Returns the exit status of a command that ends in this error.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// Tells whether there is nothing to say about it.
    pub(crate) fn is_silent(&self) -> bool {
        self.message.is_empty()
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Cause>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what can be done.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what can be done beside what is said already.
    #[must_use]
    pub(crate) fn and_hint(self, hint: impl fmt::Display) -> Self {
        match &self.hint {
            Some(known) => {
                let hint = format!("{known}\n{hint}");
                self.with_hint(hint)
            }
            None => self.with_hint(hint.to_string()),
        }
    }

    fn of(error: impl std::error::Error + Send + Sync + 'static, hint: Option<String>) -> Self {
        let message = error.to_string();
        // The message is this error's own: its causes follow it.
        Self { source: Some(Box::new(Shown(error))), hint, ..Self::new(message) }
    }
}

/// An error whose own message has been shown already.
#[derive(Debug)]
struct Shown<E>(E);

impl<E: std::error::Error> fmt::Display for Shown<E> {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl<E: std::error::Error> std::error::Error for Shown<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        let mut cause = self.source.as_ref().map(|source| source.as_ref() as &dyn std::error::Error);
        while let Some(error) = cause {
            let text = error.to_string();
            if !text.is_empty() {
                write!(f, "\n  caused by: {text}")?;
            }
            cause = error.source();
        }
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for CliError {}

impl From<RegistryError> for CliError {
    fn from(error: RegistryError) -> Self {
        let hint = error.hint();
        Self::of(error, hint)
    }
}

impl From<StateError> for CliError {
    fn from(error: StateError) -> Self {
        let hint = error.hint().map(ToOwned::to_owned);
        Self::of(error, hint)
    }
}

impl From<KubeconfigError> for CliError {
    fn from(error: KubeconfigError) -> Self {
        let hint = error.hint().map(ToOwned::to_owned);
        Self::of(error, hint)
    }
}

impl From<LeaseError> for CliError {
    fn from(error: LeaseError) -> Self {
        let hint = error.hint().map(ToOwned::to_owned);
        Self::of(error, hint)
    }
}

impl From<OperationError> for CliError {
    fn from(error: OperationError) -> Self {
        let hint = match &error {
            OperationError::Registry(error) => error.hint(),
            OperationError::Lease(error) => error.hint().map(ToOwned::to_owned),
            OperationError::Etcd(error) => error.hint(),
            OperationError::Cloud(error) | OperationError::Provider(ProviderError::Cloud(error)) => {
                error.hint.as_deref().map(ToOwned::to_owned)
            }
            OperationError::Incomplete(Incomplete { first: Some(error), .. })
            | OperationError::Leftovers { cause: Some(error), .. } => {
                error.hint.as_deref().map(ToOwned::to_owned)
            }
            OperationError::Catalog(CatalogError::Checksum { .. }) => Some(
                "give this machine a way to that server, or publish the programs with \
                 `kops create assets --kubernetes-version VERSION FILE…`"
                    .to_owned(),
            ),
            OperationError::Stale { .. } => {
                Some("look at it as it is now, and make it again: an update's with `--out FILE`".to_owned())
            }
            OperationError::Breaking(_) => Some(
                "take the changes back, or make them nevertheless with --allow-breaking-changes".to_owned(),
            ),
            OperationError::Pki(error) => error.hint().map(ToOwned::to_owned),
            OperationError::Held { .. } => {
                Some("`kops get instances` shows the machines; run the same again to go on".to_owned())
            }
            _ => None,
        };
        Self::of(error, hint)
    }
}

impl From<PkiError> for CliError {
    fn from(error: PkiError) -> Self {
        let hint = error.hint().map(ToOwned::to_owned);
        Self::of(error, hint)
    }
}

impl From<Incomplete> for CliError {
    fn from(error: Incomplete) -> Self {
        let hint = error.first.as_ref().and_then(|error| error.hint.as_deref().map(ToOwned::to_owned));
        Self::of(error, hint)
    }
}

macro_rules! plain {
    ($($error:ty),*) => {$(
        impl From<$error> for CliError {
            fn from(error: $error) -> Self {
                Self::of(error, None)
            }
        }
    )*};
}

plain!(CatalogError, CreateError, ManifestError, OpenSimError, ReadPlanError, WriteError);
