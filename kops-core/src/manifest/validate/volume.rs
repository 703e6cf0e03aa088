//! Disks: what each type can have.

use std::ops::RangeInclusive;

use super::Below;

/// A disk as a manifest describes it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Volume<'a> {
    /// The type.
    pub type_: Option<&'a str>,
    /// The size in GiB.
    pub size: Option<u32>,
    /// Provisioned operations per second.
    pub iops: Option<u32>,
    /// Provisioned throughput in MiB/s.
    pub throughput: Option<u32>,
    /// Whether machines boot from it.
    pub boots: bool,
}

/// What disks of a type can have.
#[derive(Debug)]
struct Type {
    name: &'static str,
    /// Sizes in GiB.
    sizes: RangeInclusive<u32>,
    /// Operations per second, if they can be provisioned.
    iops: Option<Iops>,
    /// Throughput in MiB/s, if it can be provisioned.
    throughput: Option<RangeInclusive<u32>>,
    /// Whether machines can boot from it.
    boots: bool,
}

#[derive(Debug)]
struct Iops {
    range: RangeInclusive<u32>,
    /// The most for each GiB.
    per_gib: u32,
    /// As many are there whatever the size.
    always: u32,
}

/// The types, and what each can have (<https://docs.aws.amazon.com/ebs/latest/userguide/ebs-volume-types.html>).
const TYPES: [Type; 7] = [
    plain("gp2", 1..=16_384, true),
    Type {
        name: "gp3",
        sizes: 1..=65_536,
        iops: Some(Iops { range: 3000..=80_000, per_gib: 500, always: 3000 }),
        throughput: Some(125..=2000),
        boots: true,
    },
    Type {
        name: "io1",
        sizes: 4..=16_384,
        iops: Some(Iops { range: 100..=64_000, per_gib: 50, always: 0 }),
        throughput: None,
        boots: true,
    },
    Type {
        name: "io2",
        sizes: 4..=65_536,
        iops: Some(Iops { range: 100..=256_000, per_gib: 1000, always: 0 }),
        throughput: None,
        boots: true,
    },
    plain("sc1", 125..=16_384, false),
    plain("st1", 125..=16_384, false),
    plain("standard", 1..=1024, true),
];

/// The most throughput in MiB/s for this many operations per second is one.
const OPERATIONS_PER_MIB: u32 = 4;

const fn plain(name: &'static str, sizes: RangeInclusive<u32>, boots: bool) -> Type {
    Type { name, sizes, iops: None, throughput: None, boots }
}

impl Volume<'_> {
    /// Checks the fields `<prefix>Type`, `<prefix>Size`, `<prefix>Iops` and `<prefix>Throughput` below `path`.
    pub(super) fn check(self, found: &mut Below<'_>, path: &str, prefix: &str) {
        let at = |field: &str| format!("{path}.{prefix}{field}");
        let name = self.type_.unwrap_or_default();
        let Some(type_) = TYPES.iter().find(|type_| type_.name == name) else {
            let hint = format!("the types are {}", TYPES.map(|type_| type_.name).join(", "));
            return found.add_with_hint(at("Type"), format!("`{name}` is not a type of volume"), hint);
        };
        if self.boots && !type_.boots {
            let hint = "choose gp3, the usual type";
            found.add_with_hint(
                at("Type"),
                format!("machines cannot boot from a volume of the type {name}"),
                hint,
            );
        }
        if let Some(size) = self.size {
            self.outside(found, at("Size"), size, &type_.sizes, "GiB");
        }
        match (self.iops, &type_.iops) {
            (Some(_), None) => {
                found.add(at("Iops"), format!("volumes of the type {name} have no provisioned operations"));
            }
            (Some(iops), Some(limits)) => self.check_iops(found, at("Iops"), iops, limits),
            (None, _) => {}
        }
        match (self.throughput, &type_.throughput) {
            (Some(_), None) => {
                found.add(
                    at("Throughput"),
                    format!("volumes of the type {name} have no provisioned throughput"),
                );
            }
            (Some(throughput), Some(range)) => {
                let is_outside = self.outside(found, at("Throughput"), throughput, range, "MiB/s");
                let needed = throughput.saturating_mul(OPERATIONS_PER_MIB);
                if !is_outside && self.iops.is_some_and(|iops| iops < needed) {
                    let message = format!("{throughput} MiB/s need {needed} operations per second");
                    found.add_with_hint(at("Throughput"), message, format!("write {prefix}Iops: {needed}"));
                }
            }
            (None, _) => {}
        }
    }

    fn check_iops(self, found: &mut Below<'_>, path: String, iops: u32, limits: &Iops) {
        if self.outside(found, path.clone(), iops, &limits.range, "operations per second") {
            return;
        }
        let Some(size) = self.size else { return };
        let most = size.saturating_mul(limits.per_gib).max(limits.always);
        if iops > most {
            let message =
                format!("{iops} operations per second are more than the {most} that {size} GiB can have");
            let hint = format!("a volume of {} GiB can have them", iops.div_ceil(limits.per_gib));
            found.add_with_hint(path, message, hint);
        }
    }

    /// Reports a value outside its range, and says whether it is.
    fn outside(
        self,
        found: &mut Below<'_>,
        path: String,
        value: u32,
        range: &RangeInclusive<u32>,
        unit: &str,
    ) -> bool {
        let is_outside = !range.contains(&value);
        if is_outside {
            let (name, least, most) = (self.type_.unwrap_or_default(), range.start(), range.end());
            found.add(path, format!("a volume of the type {name} has {least} to {most} {unit}, not {value}"));
        }
        is_outside
    }
}
