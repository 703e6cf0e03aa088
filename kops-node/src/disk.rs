//! The disks of etcd members: found by tag, attached once their last holder has let go, formatted only if blank, and left
//! alone with the data of others on them.

mod occupant;

use std::io::Read;

use kops_core::node::render::{MEMBER_FILE, Volume};
use kops_core::node::{Attachment, Machine, MachineCloud, MemberVolume};

use crate::error::{Done, NodeError};
use crate::files::Root;
use crate::system::{System, must};

/// How much of a disk must be zero for it to be blank, beside nothing being recognised on it.
const BLANK: u64 = 1 << 20;
/// Where it is remembered which blank disks are being formatted: one whose machine lost its power meanwhile is neither
/// blank nor formatted.
const BEGUN: &str = "/var/lib/kops/formatting";

pub(crate) async fn ensure(
    volume: &Volume,
    machine: &Machine,
    volumes: &[MemberVolume],
    cloud: &dyn MachineCloud,
    system: &dyn System,
    root: &Root,
) -> Done {
    let step = format!("disk of etcd {}", volume.cluster);
    let (disk, held) = attach(&step, volume, machine, volumes, cloud).await?;
    let device = find_device(root, &disk.id, &held.device).ok_or_else(|| {
        NodeError::waiting(&step, format!("volume {} is attached, but no device shows yet", disk.id))
    })?;
    let mounted =
        system.run("mountpoint", &["-q", &volume.mount], "").await.is_ok_and(|output| output.is_ok());
    if !mounted {
        format_if_blank(&step, disk, held, &device, system, root).await?;
        let target = root.path(&volume.mount);
        std::fs::create_dir_all(&target).map_err(|error| NodeError::of_file(&step, &target, error))?;
        must(system, &step, "mount", &["-t", "ext4", &device, &volume.mount], "").await?;
    }
    occupant::check(&step, volume, disk, root)?;
    // Which member the machine is goes with the disk; etcd's unit does not start without this file.
    let member = format!("MEMBER={}\n", disk.member);
    root.write(&step, &format!("{}/{MEMBER_FILE}", volume.mount), member.as_bytes(), 0o644).map(drop)
}

/// The disk that the machine has; if none, it is given one that nobody has.
async fn attach<'a>(
    step: &str,
    volume: &Volume,
    machine: &Machine,
    volumes: &'a [MemberVolume],
    cloud: &dyn MachineCloud,
) -> Result<(&'a MemberVolume, &'a Attachment), NodeError> {
    let ours = |found: &&MemberVolume| {
        found.cluster == volume.cluster
            && found.zone == machine.zone
            && volume.members.contains(&found.member)
    };
    let candidates: Vec<&MemberVolume> = volumes.iter().filter(ours).collect();
    for disk in &candidates {
        match &disk.attachment {
            Some(held) if held.machine == machine.id && held.is_usable => {
                return Ok((disk, held));
            }
            Some(held) if held.machine == machine.id => {
                return Err(NodeError::waiting(step, format!("volume {} is being attached", disk.id)));
            }
            _ => {}
        }
    }
    if let Some(free) = candidates.iter().find(|disk| disk.attachment.is_none()) {
        let attached = cloud.attach(&free.id, &machine.id, &volume.device).await;
        attached.map_err(|error| NodeError::of_cloud(step, error))?;
        return Err(NodeError::waiting(step, format!("volume {} is being attached", free.id)));
    }
    let holders = candidates.iter().filter_map(|disk| {
        let held = disk.attachment.as_ref()?;
        Some(format!("volume {} of member {} is still attached to {}", disk.id, disk.member, held.machine))
    });
    let holders: Vec<String> = holders.collect();
    Err(match holders.is_empty() {
        false => NodeError::waiting(step, holders.join("; "))
            .with_hint("it is taken as soon as that machine is gone; terminate it if it no longer serves"),
        true => NodeError::waiting(
            step,
            format!("zone {} has no volume of the members {}", machine.zone, volume.members.join(", ")),
        )
        .with_hint("`kops update cluster` makes it"),
    })
}

/// The device of a volume: NVMe devices are named by the volume's id, others as was asked.
/// <https://docs.aws.amazon.com/ebs/latest/userguide/nvme-ebs-volumes.html>
fn find_device(root: &Root, id: &str, asked: &str) -> Option<String> {
    let nvme = format!("/dev/disk/by-id/nvme-Amazon_Elastic_Block_Store_{}", id.replace('-', ""));
    [nvme, asked.to_owned()].into_iter().find(|path| root.path(path).exists())
}

async fn format_if_blank(
    step: &str,
    disk: &MemberVolume,
    held: &Attachment,
    device: &str,
    system: &dyn System,
    root: &Root,
) -> Done {
    let record = format!("{BEGUN}/{}", disk.id);
    let probe = system.run("blkid", &["-p", "-o", "export", device], "").await;
    let probe = probe.map_err(|error| NodeError::lasting(step, format!("blkid cannot be run: {error}")))?;
    match probe.code {
        Some(0) => {
            let kind =
                probe.stdout.lines().find_map(|line| line.strip_prefix("TYPE=")).unwrap_or("no file system");
            if kind != "ext4" {
                return Err(foreign(step, &disk.id, &format!("{kind} is on it, not ext4")));
            }
        }
        // Nothing that blkid knows: https://man7.org/linux/man-pages/man8/blkid.8.html
        Some(2) => {
            let path = root.path(device);
            let is_blank =
                starts_with_zeros(&path).map_err(|error| NodeError::of_file(step, &path, error))?;
            // Only if nobody else can have written to it since it was blank.
            let begun = held.since.map(|since| format!("{since}\n"));
            let has_begun = begun.is_some() && root.read(&record) == begun.clone().map(String::into_bytes);
            if !is_blank && !has_begun {
                let what = "something is written on it that is no known file system";
                return Err(foreign(step, &disk.id, what));
            }
            root.write(step, &record, begun.unwrap_or_default().as_bytes(), 0o644)?;
            must(system, step, "mkfs.ext4", &["-q", "-m", "0", device], "").await?;
        }
        _ => {
            let reason = format!("blkid cannot tell what is on {device}: {}", probe.stderr.trim());
            return Err(NodeError::lasting(step, reason));
        }
    }
    root.remove(step, &record)
}

fn foreign(step: &str, id: &str, what: &str) -> NodeError {
    NodeError::lasting(step, format!("volume {id} is left as it is: {what}"))
        .with_hint("save what is on it; a volume whose first MiB is zero is taken as blank")
}

fn starts_with_zeros(path: &std::path::Path) -> std::io::Result<bool> {
    let mut start = Vec::new();
    std::fs::File::open(path)?.take(BLANK).read_to_end(&mut start)?;
    Ok(start.iter().all(|byte| *byte == 0))
}
