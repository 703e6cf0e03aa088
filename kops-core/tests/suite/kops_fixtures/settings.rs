//! Settings of programs: every field of kops has its fate, and every flag is one that the program has.

use kops_core::flags::{Flags, Program, Remark, remarks};
use kops_core::manifest::Settings;
use kops_core::manifest::versions::KubernetesVersion;
use serde_json::{Value, json};

const PROGRAMS: [(&str, Program); 4] = [
    ("kubeAPIServer", Program::ApiServer),
    ("kubeControllerManager", Program::ControllerManager),
    ("kubeScheduler", Program::Scheduler),
    ("cloudControllerManager", Program::CloudControllerManager),
];
const VERSIONS: [(&str, KubernetesVersion); 2] =
    [("1.20.2", KubernetesVersion::new(20, 2)), ("1.36.2", KubernetesVersion::new(36, 2))];

fn reference(name: &str) -> Option<Value> {
    let folder = super::folder("reference/programs")?;
    Some(serde_json::from_str(&super::text(&folder, name)).unwrap())
}

/// All settings of a program that kops has.
fn all(field: &str, fields: &Value) -> Settings {
    let mut settings = Settings::default();
    for entry in fields["fields"]["Cluster"].as_array().unwrap() {
        let path = entry[0].as_str().unwrap();
        let Some(rest) = path.strip_prefix(&format!("spec.{field}.")) else { continue };
        match rest.split_once('.') {
            None => {
                settings.0.insert(rest.trim_end_matches("[]").trim_end_matches("{}").to_owned(), json!("1"));
            }
            Some((group, inner)) => {
                let group = settings.0.entry(group.to_owned()).or_insert_with(|| json!({}));
                group[inner] = json!("1");
            }
        }
    }
    settings
}

#[test]
fn l8_no_setting_of_a_program_is_silent() {
    let Some(fields) = reference("kops-fields.json") else { return };
    for (field, program) in PROGRAMS {
        let settings = all(field, &fields);
        assert!(settings.0.len() > 10, "{field}");
        for (_, version) in VERSIONS {
            let unknown: Vec<_> = remarks(program, &settings, version)
                .into_iter()
                .filter(|(_, r)| *r == Remark::Unknown)
                .collect();
            assert_eq!(unknown, [], "{field} of {version}");
        }
    }
}

#[test]
fn every_flag_is_one_that_the_program_has() {
    let (Some(fields), Some(help)) = (reference("kops-fields.json"), reference("flags.json")) else { return };
    for (name, version) in VERSIONS {
        for (field, program) in PROGRAMS {
            // The cloud's own program is not among those that were asked.
            let Some(known) = help[name][program.name()].as_array() else { continue };
            let mut flags = Flags::new(program.name(), []);
            flags.overlay(program, Some(&all(field, &fields)), version).unwrap();
            let unknown: Vec<String> = flags
                .arguments()
                .map(|argument| argument.trim_start_matches("--").split('=').next().unwrap().to_owned())
                .filter(|flag| !known.iter().any(|known| known == flag))
                .collect();
            assert_eq!(unknown, [""; 0], "{} {name}", program.name());
        }
    }
}
