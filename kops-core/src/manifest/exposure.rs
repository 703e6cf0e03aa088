use super::{AccessSource, ClusterSpec, Warning};

/// Warns of what everybody may reach: the Kubernetes API, and the machines' SSH.
pub fn open_to_the_world(spec: &ClusterSpec) -> Vec<Warning> {
    let services = [
        ("spec.kubernetesApiAccess", &spec.kubernetes_api_access, "the Kubernetes API", "--admin-access"),
        ("spec.sshAccess", &spec.ssh_access, "SSH of every machine", "--ssh-access"),
    ];
    let warning = |(path, sources, service, flag): (&str, &Vec<AccessSource>, &str, &str)| {
        let everyone: Vec<_> = sources.iter().filter(|s| s.is_everyone()).map(ToString::to_string).collect();
        (!everyone.is_empty()).then(|| Warning {
            place: None,
            path: path.to_owned(),
            message: format!("{service} is open to the world ({})", everyone.join(", ")),
            hint: Some(format!(
                "close it with `{flag} CIDR` when the cluster is created, or in the manifest"
            )),
        })
    };
    services.into_iter().filter_map(warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ranges_of_every_address_are_open() {
        let sources = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let spec = ClusterSpec {
            kubernetes_api_access: sources(&["10.0.0.0/8", "0.0.0.0/0", "::/0"]),
            ssh_access: sources(&["203.0.113.7/32", "pl-1"]),
            ..ClusterSpec::default()
        };
        let warnings: Vec<_> = open_to_the_world(&spec).iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(warnings.join("\n"), @r"spec.kubernetesApiAccess: the Kubernetes API is open to the world (0.0.0.0/0, ::/0) (close it with `--admin-access CIDR` when the cluster is created, or in the manifest)");
        assert_eq!(open_to_the_world(&ClusterSpec::default()), []);
    }
}
