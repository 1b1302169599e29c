#!/bin/busybox sh
# First process of the virtual machine: turns the machine's own files (read-only, by 9p) into a root file system with a
# writable layer in memory, mounts one cgroup v2 tree, runs the command, tells its exit status, switches off.
/bin/busybox --install -s /bin
mkdir -p /proc /sys /dev
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
release=$(uname -r)
# All at once: the machine's own files may have no program that loads one when the kernel asks for it.
while read -r module; do modprobe "$module" || echo "guest: no module $module"; done </modules
mkdir -p /machine /memory /root_fs
mount -t 9p -o trans=virtio,version=9p2000.L,cache=loose,msize=512000,ro machine /machine
mount -t tmpfs -o size=80% memory /memory
mkdir -p /memory/upper /memory/work
mount -t overlay -o lowerdir=/machine,upperdir=/memory/upper,workdir=/memory/work root /root_fs || { echo "guest: no root file system"; poweroff -f; }
for place in proc sys dev; do mount --move "/$place" "/root_fs/$place"; done
mkdir -p /root_fs/dev/shm /root_fs/dev/pts "/root_fs/lib/modules/$release"
# Walking the machine's own /tmp through 9p takes minutes; only what is asked for of it is seen.
mount -t tmpfs -o mode=1777 tmp /root_fs/tmp
while read -r folder; do
    case "$folder" in /tmp/*) mkdir -p "/root_fs$folder" && mount --bind "/machine$folder" "/root_fs$folder" ;; esac
done </folders
mount -t tmpfs -o mode=1777 shm /root_fs/dev/shm
mount -t devpts pts /root_fs/dev/pts
mount -t cgroup2 cgroup2 /root_fs/sys/fs/cgroup
cp -a "/lib/modules/$release/." "/root_fs/lib/modules/$release/"
cp /command /root_fs/command
ifconfig lo 127.0.0.1 up
hostname virtual
cat >/root_fs/init.sh <<'END'
sh /command
echo "guest: exit status $?"
sync
busybox poweroff -f
END
[ -e /systemd ] || exec switch_root /root_fs /bin/sh /init.sh
: >/root_fs/etc/fstab
cat >/root_fs/etc/systemd/system/guest.service <<'END'
[Service]
Type=oneshot
ExecStart=/bin/sh /init.sh
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
END
cat >/root_fs/etc/systemd/system/guest.target <<'END'
[Unit]
Requires=basic.target guest.service
After=basic.target
END
exec switch_root /root_fs /lib/systemd/systemd --unit=guest.target
