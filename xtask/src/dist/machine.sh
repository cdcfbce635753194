# The machine of `cargo xtask dist --test`: systemd as the first process of its own namespaces,
# on a Debian that is laid under what changes. Called as
#   unshare -fpmnuiC --kill-child sh machine.sh DEBIAN WORK REPOSITORY PACKAGES
# with WORK holding console, session.log, and guest.sh. It begins with namespaces of its own, so
# nothing of what it mounts is seen outside or left behind.
set -e
debian=$1 work=$2 repository=$3 packages=$4
mount --make-rprivate /
mount -t tmpfs -o mode=755 changes "$work/changes"
mkdir "$work/changes/upper" "$work/changes/work" "$work/changes/root"
root=$work/changes/root
mount -t overlay -o "lowerdir=$debian,upperdir=$work/changes/upper,workdir=$work/changes/work" machine "$root"
cd "$root"
mount -t proc proc proc
# What belongs to the whole kernel is not this machine's to set.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sys sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t bpf bpf sys/fs/bpf
mount -t tmpfs -o mode=755 run run
mount -t tmpfs tmp tmp
mount -t tmpfs -o mode=755 dev dev
for node in null zero full random urandom tty; do
  touch "dev/$node"
  mount --bind "/dev/$node" "dev/$node"
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
touch dev/console
mount --bind "$work/console" dev/console
: >etc/machine-id
mkdir -p repository/tests repository/target/dist
mkdir -p repository/tests/captures session
mount --bind "$repository/tests/captures" repository/tests/captures
mount --bind "$packages" repository/target/dist
mount --bind "$work/session" session
rm -f etc/systemd/system/getty.target.wants/*
ln -sf /dev/null etc/systemd/system/console-getty.service
cat >etc/systemd/system/session.service <<'UNIT'
[Unit]
Description=what is tested
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=oneshot
WorkingDirectory=/repository
ExecStart=/bin/bash -x /session/guest.sh
StandardOutput=file:/session/log
StandardError=file:/session/log
[Install]
WantedBy=default.target
UNIT
mkdir -p etc/systemd/system/default.target.wants
ln -s ../session.service etc/systemd/system/default.target.wants/session.service
ln -sf /lib/systemd/system/multi-user.target etc/systemd/system/default.target
exec env -i container=flowsift PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot . /lib/systemd/systemd
