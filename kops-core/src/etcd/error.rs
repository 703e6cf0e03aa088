use std::time::Duration;

use jiff::SignedDuration;

use super::{InvalidStamp, Stamp, Task};
use crate::error::ErrorClass;
use crate::state::{InvalidKey, StateError};

/// What could not be done about backups of etcd.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// There is no backup of that name.
    #[error("there is no backup {name} in {location}")]
    NoBackup {
        /// The name.
        name: Stamp,
        /// Where it was looked for.
        location: String,
    },
    /// The cluster has no etcd cluster of that name.
    #[error("{cluster} has no etcd cluster `{etcd}`")]
    NoEtcd {
        /// The cluster.
        cluster: String,
        /// The name.
        etcd: String,
    },
    /// A file among the backups is not what belongs there.
    #[error("cannot read {location}")]
    Unreadable {
        /// The file.
        location: String,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// What the last update has recorded cannot be read.
    #[error("cannot read {location}: {reason}")]
    Record {
        /// The file.
        location: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Members that have to go are still there.
    #[error("etcd {etcd}: within {}, {} not taken out: {reason}", time(*waited), leaving(members))]
    Unsettled {
        /// The etcd cluster.
        etcd: String,
        /// The members.
        members: Vec<String>,
        /// What the machines wait for, as far as they say.
        reason: String,
        /// For how long it was waited.
        waited: Duration,
    },
    /// A name that machines wrote is none.
    #[error(transparent)]
    Name(#[from] InvalidStamp),
    /// The backup is of a newer etcd than the one that would have to read it.
    #[error("backup {name} is of etcd {version}, which the members' etcd {members} cannot read")]
    TooNew {
        /// The backup.
        name: Stamp,
        /// The version of etcd that it was taken from.
        version: String,
        /// The version of the members.
        members: String,
    },
    /// Nothing that runs could do it.
    #[error("{cluster} is simulated: its machines run no etcd")]
    Simulated {
        /// The cluster.
        cluster: String,
    },
    /// A machine says that it cannot do what it was asked.
    #[error("etcd {etcd}: the machine of member {member} could not {task}: {reason}")]
    Failed {
        /// The etcd cluster.
        etcd: String,
        /// The member.
        member: String,
        /// What it was asked.
        task: Task,
        /// Its words.
        reason: String,
    },
    /// No machine has done what was asked, in the time that there was.
    #[error("etcd {etcd}: within {}, {} did not {task}", time(*waited), members(.silent))]
    Unanswered {
        /// The etcd cluster.
        etcd: String,
        /// What was asked.
        task: Task,
        /// Who has not done it; nobody in particular if any machine could have.
        silent: Vec<String>,
        /// For how long they were waited for.
        waited: Duration,
    },
    /// The state store failed.
    #[error(transparent)]
    Store(#[from] StateError),
}

fn time(duration: Duration) -> String {
    format!("{:#}", SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX))
}

fn leaving(members: &[String]) -> String {
    match members {
        [] => "members that are to go were".to_owned(),
        [member] => format!("member {member} was"),
        several => format!("members {} were", several.join(", ")),
    }
}

fn members(silent: &[String]) -> String {
    match silent {
        [] => "the machine whose member leads".to_owned(),
        [one] => format!("the machine of member {one}"),
        several => format!("the machines of members {}", several.join(", ")),
    }
}

impl EtcdError {
    /// What it means.
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NoBackup { .. } | Self::NoEtcd { .. } => ErrorClass::NotFound,
            Self::Unreadable { .. } | Self::Record { .. } | Self::Name(_) | Self::TooNew { .. } => {
                ErrorClass::Invalid
            }
            Self::Simulated { .. } => ErrorClass::Unsupported,
            Self::Failed { .. } | Self::Unanswered { .. } | Self::Unsettled { .. } => ErrorClass::Unavailable,
            Self::Store(error) => error.class(),
        }
    }

    /// What the user can do, if something helps.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoBackup { .. } => Some("`kops etcd list` shows those that there are".to_owned()),
            Self::NoEtcd { .. } => Some("the etcd clusters are main and events".to_owned()),
            Self::Failed { .. } => Some(
                "it goes on trying by itself; `sudo kops-node status` on the machine says what it waits for"
                    .to_owned(),
            ),
            Self::Unanswered { .. } => Some(
                "it still counts: machines do it as soon as they can; `sudo kops-node status` on them says what \
                 they wait for"
                    .to_owned(),
            ),
            Self::Unsettled { .. } => Some(
                "nothing of it was deleted: run the same again once the machines can do it. Machines that an older \
                 kops has made do not know how: replace them first (`kops rolling-update cluster --yes`). Where the \
                 control plane is out of order for good, --cloudonly takes them away as they are"
                    .to_owned(),
            ),
            Self::Record { .. } => Some("run `kops update cluster --yes`".to_owned()),
            Self::Store(error) => error.hint().map(str::to_owned),
            Self::Unreadable { .. } | Self::Name(_) | Self::TooNew { .. } | Self::Simulated { .. } => None,
        }
    }
}

impl From<InvalidKey> for EtcdError {
    fn from(error: InvalidKey) -> Self {
        Self::Store(error.into())
    }
}
