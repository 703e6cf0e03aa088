//! Settings of programs that there are not.

use super::Violations;
use crate::flags::{Remark, remarks};
use crate::manifest::CompletedCluster;
use crate::manifest::program_settings::of_programs;
use crate::manifest::read::did_you_mean;

pub(super) fn check(found: &mut Violations, completed: &CompletedCluster) {
    let Ok(version) = completed.kubernetes_version() else { return };
    let mut found = found.below("cluster");
    for (field, program, settings) in of_programs(&completed.cluster.spec) {
        let Some(settings) = settings else { continue };
        for (name, remark) in remarks(program, settings, version) {
            if remark == Remark::Unknown {
                let message = format!("{} has no such setting", program.name());
                found.push(format!("{field}.{name}"), message, did_you_mean(&name, program.settings()));
            }
        }
    }
}
