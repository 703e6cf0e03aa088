use super::{Start, Unit};

/// A service that is started again whenever it ends.
pub(super) struct Service<'a> {
    /// Its name, without `.service`.
    pub(super) name: &'a str,
    /// What it is, for people.
    pub(super) description: &'a str,
    /// The command line.
    pub(super) command: String,
    /// More lines of the section `[Service]`.
    pub(super) service: Vec<String>,
    /// Who starts it, and when.
    pub(super) start: Start,
    /// Files whose change restarts it.
    pub(super) inputs: Vec<String>,
}

impl From<Service<'_>> for Unit {
    fn from(service: Service<'_>) -> Self {
        let more: String = service.service.iter().map(|line| format!("{line}\n")).collect();
        // Start limits would leave a machine without what it is for, however short the cause.
        let contents = format!(
            "[Unit]\nDescription={}\nAfter=network-online.target containerd.service\nStartLimitIntervalSec=0\n\n\
             [Service]\nExecStart={}\nRestart=always\nRestartSec=1\n{more}\n\
             [Install]\nWantedBy=multi-user.target\n",
            service.description, service.command,
        );
        Self {
            name: format!("{}.service", service.name),
            contents: Some(contents),
            start: service.start,
            inputs: service.inputs,
        }
    }
}
