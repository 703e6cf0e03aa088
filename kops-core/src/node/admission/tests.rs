use super::*;

const CLUSTER: &str = "demo.k8s.local";
const ROLE: &str = "nodes.demo.k8s.local";

fn now() -> Timestamp {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

fn ago(time: Duration) -> Timestamp {
    now().checked_sub(time).unwrap()
}

/// All that is asked and known of a worker that joins.
#[derive(Clone)]
struct Case {
    request: CertificateRequest,
    usages: Vec<String>,
    user: String,
    has_joined: bool,
    prover: Option<Prover>,
    instance: Option<Instance>,
}

impl Case {
    fn new() -> Self {
        Self {
            request: CertificateRequest {
                common_name: "system:node:i-1".to_owned(),
                organizations: vec!["system:nodes".to_owned()],
                names: BTreeSet::new(),
                addresses: BTreeSet::new(),
                asks_more: false,
                key: "00".to_owned(),
            },
            usages: vec!["digital signature".to_owned(), "client auth".to_owned()],
            user: "system:node:i-1".to_owned(),
            has_joined: false,
            prover: Some(Prover {
                machine: "i-1".to_owned(),
                role: ROLE.to_owned(),
                is_of_account: true,
                at: now(),
            }),
            instance: Some(Instance {
                id: "i-1".to_owned(),
                cluster: CLUSTER.to_owned(),
                role: Some(Role::Node),
                state: InstanceState::Running,
                launched: ago(Duration::from_mins(1)),
                addresses: BTreeSet::from(["10.0.0.5".parse().unwrap()]),
                names: BTreeSet::from(["ip-10-0-0-5.ec2.internal".to_owned()]),
            }),
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::new();
        change(&mut case);
        case
    }

    fn serving(change: impl FnOnce(&mut Self)) -> Self {
        Self::with(|case| {
            case.usages[1] = "server auth".to_owned();
            case.request.addresses.insert("10.0.0.5".parse().unwrap());
            case.request.names.insert("i-1".to_owned());
            change(case);
        })
    }

    fn decide(&self, how: impl FnOnce(&Admission<'_>, Asked<'_>) -> Verdict) -> Verdict {
        let roles = BTreeSet::from([ROLE.to_owned()]);
        let asked = Asked { request: &self.request, usages: &self.usages };
        how(&Admission { cluster: CLUSTER, roles: &roles, now: now() }, asked)
    }

    fn first(&self) -> Verdict {
        self.decide(|admission, asked| {
            admission.first(asked, self.has_joined, self.prover.as_ref(), self.instance.as_ref())
        })
    }

    fn renewed(&self) -> Verdict {
        self.decide(|admission, asked| admission.renewal(asked, &self.user, self.instance.as_ref()))
    }

    fn served(&self) -> Verdict {
        self.decide(|admission, asked| admission.serving(asked, &self.user, self.instance.as_ref()))
    }
}

fn instance(change: impl FnOnce(&mut Instance)) -> Case {
    Case::with(|case| change(case.instance.as_mut().unwrap()))
}

fn prover(change: impl FnOnce(&mut Prover)) -> Case {
    Case::with(|case| change(case.prover.as_mut().unwrap()))
}

#[test]
fn a_young_worker_that_proves_itself_joins() {
    assert_eq!(Case::new().first(), Verdict::Approve);
    let old = instance(|instance| instance.launched = ago(JOINING - Duration::from_secs(1)));
    assert_eq!(old.first(), Verdict::Approve);
}

#[test]
fn every_other_first_certificate_is_refused_with_its_reason() {
    let cases = [
        Case::with(|case| case.request.common_name = "system:node:i-9".to_owned()),
        Case::with(|case| case.request.common_name = "system:node:".to_owned()),
        Case::with(|case| case.request.common_name = "kops".to_owned()),
        Case::with(|case| case.request.organizations = vec!["system:masters".to_owned()]),
        Case::with(|case| case.request.organizations.push("system:masters".to_owned())),
        Case::with(|case| case.request.asks_more = true),
        Case::with(|case| case.request.names = BTreeSet::from(["api.internal.demo.k8s.local".to_owned()])),
        Case::with(|case| case.usages.push("server auth".to_owned())),
        Case::with(|case| drop(case.usages.pop())),
        Case::with(|case| case.has_joined = true),
        Case::with(|case| case.prover = None),
        prover(|prover| prover.is_of_account = false),
        prover(|prover| prover.role = "masters.demo.k8s.local".to_owned()),
        prover(|prover| prover.machine = "i-2".to_owned()),
        prover(|prover| prover.at = ago(PROOF_LIFETIME)),
        prover(|prover| prover.at = later(now(), PROOF_LIFETIME)),
        Case::with(|case| case.instance = None),
        instance(|instance| instance.id = "i-2".to_owned()),
        instance(|instance| instance.cluster = "other.k8s.local".to_owned()),
        instance(|instance| instance.role = Some(Role::ControlPlane)),
        instance(|instance| instance.role = None),
        instance(|instance| instance.state = InstanceState::Pending),
        instance(|instance| instance.state = InstanceState::Ended),
        instance(|instance| instance.launched = ago(JOINING)),
    ];
    let verdicts: Vec<String> = cases.iter().map(|case| format!("{:?}", case.first())).collect();
    insta::assert_snapshot!(verdicts.join("\n"), @r#"
    Deny("it was proved by the machine i-1, and is for i-9")
    Deny("it names no node")
    Deny("it names no node")
    Deny("it asks for another group than that of nodes, or for more")
    Deny("it asks for another group than that of nodes, or for more")
    Deny("it asks for another group than that of nodes, or for more")
    Deny("it asks for names or addresses of a server")
    Deny("it asks for other uses than client auth")
    Deny("it asks for other uses than client auth")
    Deny("the node i-1 has joined already")
    Deny("the cloud does not confirm its proof for this key and this cluster")
    Deny("it was proved with another role than that of the cluster's workers")
    Deny("it was proved with another role than that of the cluster's workers")
    Deny("it was proved by the machine i-2, and is for i-1")
    Deny("its proof was made at 2026-01-15T11:55:00Z")
    Deny("its proof was made at 2026-01-15T12:05:00Z")
    Wait("the cloud does not know the machine i-1")
    Wait("the cloud does not know the machine i-1")
    Deny("the machine i-1 is not of this cluster")
    Deny("the machine i-1 is no worker")
    Deny("the machine i-1 is no worker")
    Wait("the machine i-1 does not run yet")
    Deny("the machine i-1 does not run any more")
    Deny("the machine i-1 was launched more than 24 hours ago; replace it")
    "#);
}

#[test]
fn a_node_renews_its_own_certificate_while_its_machine_runs() {
    let long_ago = instance(|instance| instance.launched = ago(JOINING * 365));
    assert_eq!(Case { has_joined: true, prover: None, ..long_ago }.renewed(), Verdict::Approve);
    let cases = [
        Case::with(|case| case.user = "system:node:i-2".to_owned()),
        Case::with(|case| case.request.organizations = vec!["system:masters".to_owned()]),
        Case::with(|case| case.usages[1] = "server auth".to_owned()),
        Case::with(|case| case.instance = None),
        instance(|instance| instance.state = InstanceState::Ended),
        instance(|instance| instance.cluster = "other.k8s.local".to_owned()),
    ];
    let verdicts: Vec<String> = cases.iter().map(|case| format!("{:?}", case.renewed())).collect();
    insta::assert_snapshot!(verdicts.join("\n"), @r#"
    Deny("system:node:i-2 asks for i-1")
    Deny("it asks for another group than that of nodes, or for more")
    Deny("it asks for other uses than client auth")
    Wait("the cloud does not know the machine i-1")
    Deny("the machine i-1 does not run any more")
    Deny("the machine i-1 is not of this cluster")
    "#);
}

#[test]
fn a_kubelet_serves_as_its_machine_and_nothing_else() {
    assert_eq!(Case::serving(|_| {}).served(), Verdict::Approve);
    let name = "ip-10-0-0-5.ec2.internal";
    assert_eq!(
        Case::serving(|case| {
            case.request.names.insert(name.to_owned());
        })
        .served(),
        Verdict::Approve
    );
    let cases = [
        Case::serving(|case| {
            case.request.addresses.insert("10.0.0.9".parse().unwrap());
        }),
        Case::serving(|case| {
            case.request.names.insert("api.internal.demo.k8s.local".to_owned());
        }),
        Case::serving(|case| case.user = "system:node:i-2".to_owned()),
        Case::serving(|case| case.usages.push("client auth".to_owned())),
        Case::serving(|case| {
            case.request.addresses.clear();
            case.request.names.clear();
        }),
        Case::serving(|case| case.instance = None),
    ];
    let verdicts: Vec<String> = cases.iter().map(|case| format!("{:?}", case.served())).collect();
    insta::assert_snapshot!(verdicts.join("\n"), @r#"
    Deny("it asks for 10.0.0.9, which the machine i-1 does not have")
    Deny("it asks for api.internal.demo.k8s.local, which the machine i-1 does not have")
    Deny("system:node:i-2 asks for i-1")
    Deny("it asks for other uses than server auth")
    Deny("it names no address")
    Wait("the cloud does not know the machine i-1")
    "#);
}
