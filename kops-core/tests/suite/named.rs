//! What the planner makes of things that a manifest names by their handles (law C14), and of new names for what is used
//! (law L9).

use kops_core::cloud::Scope;
use kops_core::contract::Toy;
use kops_core::inventory::{Inventory, Observed};
use kops_core::plan::{Plan, PlanError, Purpose, Verb, plan};
use kops_core::resource::{Handle, Ownership, Resource, ResourceId};

fn scope() -> Scope {
    Scope { cluster: "demo".into(), incarnation: "1".into(), zone: None }
}

fn id(name: &str) -> ResourceId {
    Toy::id_of(name)
}

/// What is named by its handle.
fn shared(handle: &str) -> Toy {
    Toy { ownership: Ownership::Shared, ..Toy::new(handle, []) }
}

/// A part of how something works, which uses others.
fn part(name: &str, of: &str, uses: &[&str]) -> Toy {
    Toy::new(name, [of].iter().chain(uses).map(|name| id(name))).with("shapes", vec![0])
}

fn within(name: &str, of: &str) -> Toy {
    Toy::new(name, [id(of)]).with("within", true)
}

/// Everything under a handle that starts with `h-`.
fn seen(toys: &[Toy]) -> Inventory<Toy> {
    let handle = |id: &ResourceId| Handle(format!("h-{}", id.name));
    let observed = toys.iter().map(|toy| Observed {
        handle: handle(&toy.id),
        uses: toy.requires.iter().map(handle).collect(),
        resource: toy.clone(),
    });
    Inventory::new(observed.collect(), Vec::new())
}

fn update(desired: &[Toy], inventory: &Inventory<Toy>) -> Result<Plan<Toy>, PlanError> {
    plan(&scope(), Purpose::Update, desired, inventory)
}

fn steps(plan: &Plan<Toy>) -> Vec<(Verb, &str)> {
    plan.steps().iter().map(|step| (step.action.verb(), step.id.name.as_str())).collect()
}

/// A network with a gateway, and a subnet with the table that leads to it.
fn network() -> Vec<Toy> {
    vec![
        Toy::new("net", []),
        part("gateway", "net", &[]),
        within("table", "net"),
        part("route", "table", &["gateway"]),
        within("subnet", "net"),
        part("association", "subnet", &["table"]),
    ]
}

#[test]
fn c14_a_network_that_is_named_now_keeps_all_it_needs() {
    let mut world = network();
    world.push(Toy::new("machines", [id("subnet")]));
    let plan = update(&[shared("h-net"), shared("h-subnet")], &seen(&world)).unwrap();
    assert_eq!(steps(&plan), [(Verb::Delete, "machines")]);
    insta::assert_snapshot!(plan.warnings().join("\n"), @r"
    left alone, though no longer part of the cluster: Toy/gateway (h-gateway), Toy/route (h-route), Toy/table (h-table). Toy/h-net, which the manifest names by its id, may need them; delete by hand what nothing uses
    left alone, though no longer part of the cluster: Toy/association (h-association). Toy/h-subnet, which the manifest names by its id, may need them; delete by hand what nothing uses
    ");
}

#[test]
fn c14_naming_what_is_there_changes_nothing() {
    let named = [("net", "h-net"), ("subnet", "h-subnet")].map(|(old, new)| (id(old), id(new)));
    let world = network();
    let others = world.iter().filter(|toy| !["net", "subnet"].contains(&toy.id.name.as_str()));
    let others = others.map(|toy| toy.clone().renamed(&named.clone().into()));
    let desired: Vec<_> = others.chain([shared("h-net"), shared("h-subnet")]).collect();
    let plan = update(&desired, &seen(&world)).unwrap();
    assert!(plan.is_empty() && plan.warnings().is_empty(), "{}", plan.display());
}

#[test]
fn c14_a_gateway_stays_in_a_network_that_never_was_the_clusters() {
    // The network has no tags, so that nobody has seen it; what lies in it goes by its names.
    let association = part("association", "subnet", &[]);
    let world = [part("gateway", "vpc-1", &[]), within("subnet", "vpc-1"), association];
    let plan = update(&[shared("vpc-1")], &seen(&world)).unwrap();
    assert_eq!(steps(&plan), [(Verb::Delete, "association"), (Verb::Delete, "subnet")]);
}

#[test]
fn c14_a_table_stays_while_a_foreign_subnet_uses_it() {
    let mut association = part("association", "foreign", &["table"]);
    association.ownership = Ownership::Dependent;
    let table = Toy::new("table", [id("net")]);
    let world = [Toy::new("net", []), table, part("route", "table", &[]), association];
    let plan = update(&[Toy::new("net", [])], &seen(&world)).unwrap();
    assert!(plan.is_empty(), "{}", plan.display());
    insta::assert_snapshot!(plan.warnings().join("\n"), @"left alone, though no longer part of the cluster: Toy/route (h-route), Toy/table (h-table). Toy/foreign, which is not a part of the cluster, may need them; delete by hand what nothing uses");
}

#[test]
fn c14_what_is_named_and_a_part_of_the_cluster_is_one_thing() {
    let world = [Toy::new("group", []).with("fixed", 1), Toy::new("template", [id("group")])];
    let desired = |value: i64| {
        let template = Toy::new("template", [id("h-group")]);
        [Toy::new("group", []).with("fixed", value), template, shared("h-group")]
    };
    assert!(update(&desired(1), &seen(&world)).unwrap().is_empty());
    let refused = update(&desired(2), &seen(&world)).unwrap_err();
    insta::assert_snapshot!(refused, @"Toy/group would have to be deleted and made again, but the manifest names it by its id: take the change back, or the id out of the manifest");
}

#[test]
fn c14_of_two_with_one_id_the_named_one_stays() {
    let mut observed: Vec<_> = seen(&[Toy::new("net", [])]).all().cloned().collect();
    observed.push(Observed { handle: Handle("vpc-2".into()), ..observed[0].clone() });
    let inventory = Inventory::new(observed, Vec::new());
    let plan = update(&[shared("vpc-2")], &inventory).unwrap();
    assert_eq!(steps(&plan), [(Verb::Delete, "net")]);
    assert_eq!(plan.steps()[0].action.current().unwrap().handle.as_str(), "h-net");
}

#[test]
fn a_deletion_leaves_what_is_named_and_says_so() {
    let mut world = network();
    let mut private = within("private", "net");
    private.ownership = Ownership::Dependent;
    world.extend([Toy::new("machines", [id("subnet")]), private]);
    let inventory = seen(&world);
    let desired = [shared("h-net")];
    let plan_of = |desired: &[Toy]| plan(&scope(), Purpose::Delete, desired, &inventory).unwrap();
    let leaving = plan_of(&desired);
    let names: Vec<_> = steps(&leaving).into_iter().map(|(_, name)| name).collect();
    assert_eq!(names, ["association", "machines", "route", "subnet", "table"]);
    insta::assert_snapshot!(leaving.warnings().join("\n"), @"Toy/h-net carries the cluster's tags, but the manifest names it by its id: it stays. What it may need stays, too: Toy/gateway (h-gateway), Toy/private (h-private). To delete all that carries the cluster's tags, add --include-shared");
    let all = plan_of(&[]);
    assert_eq!(all.steps().len(), world.len());
    assert_ne!(all.fingerprint(), leaving.fingerprint());
}

fn subnet(name: &str, range: &str) -> Toy {
    within(name, "net").with("range", range)
}

#[test]
fn l9_a_new_name_for_a_range_in_use_is_refused() {
    let net = || Toy::new("net", []);
    let machines = |subnet: &str| Toy::new("machines", [id(subnet)]);
    let world = seen(&[net(), subnet("a", "10.0.0.0/24"), machines("a")]);
    for range in ["10.0.0.0/24", "10.0.0.0/20", "10.0.0.128/25"] {
        let refused = update(&[net(), subnet("b", range), machines("b")], &world).unwrap_err();
        assert!(matches!(&refused, PlanError::Overlaps(overlaps) if overlaps.len() == 1), "{refused}");
    }
    let refused = update(&[net(), subnet("b", "10.0.0.0/24"), machines("b")], &world).unwrap_err();
    insta::assert_snapshot!(refused, @"Toy/b cannot have 10.0.0.0/24: Toy/a (h-a) has it and is used by Toy/machines. To keep what is there, keep its name; to have a new one instead, add it with a free range, move what uses the old one there, and remove the old one then");
    // With a range of its own, it is made before the old one goes.
    let moved = update(&[net(), subnet("b", "10.0.1.0/24"), machines("b")], &world).unwrap();
    assert_eq!(steps(&moved), [(Verb::Delete, "a"), (Verb::Create, "b"), (Verb::Update, "machines")]);
}

#[test]
fn l9_a_range_of_what_stays_is_refused() {
    let world = seen(&[Toy::new("net", []), subnet("a", "10.0.0.0/24")]);
    let within = |name: &str| Toy { requires: vec![id("h-net")], ..subnet(name, "10.0.0.0/24") };
    let refused = update(&[shared("h-net"), within("b")], &world).unwrap_err();
    insta::assert_snapshot!(refused, @"Toy/b cannot have 10.0.0.0/24: Toy/a (h-a) has it and stays; choose a free range");
}

#[test]
fn a_range_that_nothing_uses_gets_a_new_name_in_order() {
    let net = || Toy::new("net", []);
    let world = seen(&[net(), subnet("z", "10.0.0.0/24"), part("association", "z", &[])]);
    let plan = update(&[net(), subnet("a", "10.0.0.0/24")], &world).unwrap();
    assert_eq!(steps(&plan), [(Verb::Create, "a"), (Verb::Delete, "association"), (Verb::Delete, "z")]);
    assert_eq!(plan.steps()[0].after, [2]);
}
