"""A virtual machine that sees this machine's files, for what the own kernel or its control groups cannot show.

Debian's kernel boots under qemu (software emulation, no image to build): its root is this machine's root, read-only by
9p, under a layer of memory; `guest_init.sh` is its first process.
"""
import gzip
import os
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = pathlib.Path(os.environ.get('CLOUDFUNCTION_SOURCE', HERE.parents[1]))
CACHE = pathlib.Path(os.environ.get('CLOUDFUNCTION_CACHE', SOURCE / 'build/virtual_machine'))
# What the guest needs to come up, and what the platform's network asks for there.
MODULES = ['virtio_pci', '9pnet_virtio', '9p', 'overlay', 'bridge', 'veth', 'dummy', 'crc32c_generic', 'nf_tables',
           'nfnetlink_log', 'nft_chain_nat', 'nft_masq', 'nft_ct', 'nft_reject_inet', 'nft_fib_inet', 'nft_log', 'nft_limit',
           'nft_connlimit', 'nf_conntrack_netlink', 'tcp_diag']
SYSTEMD = '/lib/systemd/systemd'
PROGRAMS = ['qemu-system-x86_64', 'busybox', 'cpio']


class Unavailable(Exception):
    """This machine cannot run the virtual one; the text says why."""


def _run(*command, **options):
    return subprocess.run(command, check=True, capture_output=True, text=True, **options)


def _kernel():
    """Debian's newest kernel, fetched and unpacked once; nothing is installed."""
    folder = CACHE / 'kernel'
    if not list(folder.glob('boot/vmlinuz-*')):
        try:
            depends = _run('apt-cache', 'depends', 'linux-image-amd64').stdout
            package = next(line.split()[1] for line in depends.splitlines() if 'Depends:' in line)
            download = CACHE / 'download'
            shutil.rmtree(download, ignore_errors=True)
            download.mkdir(parents=True)
            _run('apt-get', '-q', 'download', package, cwd=download, timeout=300)
            unpacked = CACHE / 'unpacked'
            shutil.rmtree(unpacked, ignore_errors=True)
            _run('dpkg', '-x', str(next(download.glob('*.deb'))), str(unpacked))
            shutil.rmtree(download)
            unpacked.rename(folder)
        except (OSError, StopIteration, subprocess.SubprocessError) as problem:
            raise Unavailable(f"Debian's kernel cannot be fetched: {problem}") from None
    image = next(folder.glob('boot/vmlinuz-*'))
    return image, folder / 'lib/modules' / image.name.removeprefix('vmlinuz-')


def _initramfs(modules, command, folders, systemd):
    """The archive of the guest's first files: busybox, modules with all they depend on, what to run."""
    folder = CACHE / 'initramfs'
    shutil.rmtree(folder, ignore_errors=True)
    target = folder / 'lib/modules' / modules.name
    (folder / 'bin').mkdir(parents=True)
    target.mkdir(parents=True)
    shutil.copy(shutil.which('busybox'), folder / 'bin/busybox')
    shutil.copy(HERE / 'guest_init.sh', folder / 'init')
    (folder / 'init').chmod(0o755)
    if not (modules / 'modules.dep').exists():
        _run('busybox', 'depmod', '-b', str(modules.parents[2]), modules.name)
    depends = {}
    for line in (modules / 'modules.dep').read_text().splitlines():
        file, _, needs = line.partition(':')
        depends[pathlib.Path(file).name.split('.')[0].replace('-', '_')] = [file, *needs.split()]
    wanted = {file for name in MODULES for file in depends.get(name, [])}
    for file in sorted(wanted):
        relative = pathlib.Path(file.removeprefix(f'/lib/modules/{modules.name}/'))
        (target / relative).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(modules / relative, target / relative)
    for name in ('modules.order', 'modules.builtin'):
        shutil.copy(modules / name, target / name)
    _run('busybox', 'depmod', '-b', str(folder), modules.name)
    (folder / 'command').write_text(command)
    (folder / 'modules').write_text('\n'.join(MODULES) + '\n')
    if systemd:
        (folder / 'systemd').touch()
    (folder / 'folders').write_text('\n'.join(map(str, folders)) + '\n')
    names = '\n'.join(str(path.relative_to(folder)) for path in sorted(folder.rglob('*')))
    archive = subprocess.run(['cpio', '-o', '-H', 'newc', '--quiet'], cwd=folder, input=names.encode(), check=True,
                             capture_output=True).stdout
    (CACHE / 'initrd').write_bytes(gzip.compress(archive, 1))
    return CACHE / 'initrd'


def run(command, seconds, folders, systemd=False):
    """Boots, runs the shell text `command` as root, switches off. Gives what it wrote and its exit status. It sees
    all of this machine but what lies below /tmp, and of that `folders`. With `systemd` that is the first process, as
    far as its basic.target, and the command one of its services."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if systemd and not os.access(SYSTEMD, os.X_OK):
        missing.append('systemd')
    if missing:
        raise Unavailable('not installed: ' + ', '.join(missing))
    if os.geteuid() != 0:
        raise Unavailable('only root can give it every file of this machine')
    if os.uname().machine != 'x86_64':
        raise Unavailable('the machine is no x86_64')
    CACHE.mkdir(parents=True, exist_ok=True)
    image, modules = _kernel()
    initrd = _initramfs(modules, command, folders, systemd)
    # What a processor can do costs the emulator time, and so does what Linux does against faults of real ones.
    machine = ['qemu-system-x86_64', '-M', 'pc', '-cpu', 'Nehalem', '-accel', 'tcg,thread=multi', '-smp', '2', '-m', '3072',
               '-nographic', '-nodefaults', '-no-reboot', '-serial', 'stdio', '-kernel', image, '-initrd', initrd,
               '-append', 'console=ttyS0 quiet panic=-1 cgroup_no_v1=all mitigations=off nopti',
               '-virtfs', 'local,path=/,mount_tag=machine,security_model=none,readonly=on,multidevs=remap']
    try:
        output = subprocess.run(machine, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                timeout=seconds).stdout.decode('utf-8', 'replace')
    except subprocess.TimeoutExpired as late:
        return (late.stdout or b'').decode('utf-8', 'replace'), None
    status = [line for line in output.splitlines() if line.startswith('guest: exit status ')]
    return output, int(status[-1].split()[-1]) if status else None
