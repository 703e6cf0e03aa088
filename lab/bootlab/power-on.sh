#!/bin/bash
# power-on.sh ROOT DATA: the first process of a machine. It runs in the machine's namespaces, gives them the file
# systems that a machine has, and becomes its systemd. The hierarchies of control groups come on standard input.
set -eu
root=$1 data=$2
mount --bind "$root" "$root"
cd "$root"

mount -t proc proc proc
mount -t sysfs sysfs sys
# The hardware is the box's; cloud-init asks dmidecode if this is empty.
[ ! -d sys/class/dmi/id ] || mount -t tmpfs tmpfs sys/class/dmi/id
mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
while read -r kind options place; do
    mkdir -p "sys/fs/cgroup/$place"
    mount -t "$kind" -o "$options" cgroup "sys/fs/cgroup/$place"
done
exec </dev/null

mount -t tmpfs -o mode=755 tmpfs dev
while read -r name major minor; do mknod -m 666 "dev/$name" c "$major" "$minor"; done <<'DEVICES'
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
kmsg 1 11
tty 5 0
DEVICES
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=666,mode=620,gid=5 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for stream in 0:stdin 1:stdout 2:stderr; do ln -s "/proc/self/fd/${stream%:*}" "dev/${stream#*:}"; done
touch dev/console
mount --bind "$data/console.log" dev/console

mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs tmpfs tmp
# Overlays cannot lie on overlays, and containerd makes some.
for name in containerd kubelet; do
    mkdir -p "$data/$name" "var/lib/$name"
    mount --bind "$data/$name" "var/lib/$name"
done

# The settings of the kernel that belong to no namespace are the box's. The kubelet insists on some of them.
for part in kernel vm fs; do
    mount --bind "proc/sys/$part" "proc/sys/$part"
    mount -o remount,bind,ro "proc/sys/$part"
done
mkdir run/lab-sysctl
while read -r name value; do
    echo "$value" >"run/lab-sysctl/${name##*/}"
    mount --bind "run/lab-sysctl/${name##*/}" "proc/sys/$name"
done <<'SETTINGS'
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
SETTINGS

mkdir .box
pivot_root . .box
umount -l /.box
rmdir /.box
mount --make-rshared /
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
exec /lib/systemd/systemd --log-target=journal --show-status=yes
