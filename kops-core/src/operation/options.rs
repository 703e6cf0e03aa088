//! How a plan of an operation is carried out.

use std::time::Duration;

use crate::apply::ApplyOptions;
use crate::rolling::StuckDrain;

/// How the plan of an update is carried out. The defaults are those of the command line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunOptions {
    /// How many steps run at once, and when a failed call is tried again.
    pub apply: ApplyOptions,
    /// How machines are drained when their group gets smaller or goes (law F4). `None` takes them away as they are, for
    /// a cluster that has no working API. The deletion of a whole cluster drains nothing.
    pub drain: Option<Drain>,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { apply: ApplyOptions::default(), drain: Some(Drain::default()) }
    }
}

/// How the machines are drained that a group loses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// What happens when a machine cannot be drained.
    pub stuck: StuckDrain,
    /// The pause between two looks at the cluster.
    pub poll: Duration,
    /// How long machines may take to take out the members of etcd that are to go.
    pub members: Duration,
}

impl Default for Drain {
    fn default() -> Self {
        Self { stuck: StuckDrain::default(), poll: Duration::from_secs(5), members: Duration::from_mins(5) }
    }
}
