"""The two commands: what they install, with stand-ins for the package manager; and the real thing from a clean checkout."""
import os
import pathlib
import re
import shutil
import stat
import subprocess
import tempfile
import unittest

from platform_fixture import SOURCE

STAND_INS = ('apt-get', 'dpkg-query', 'sudo', 'id', 'go', 'node', 'python3', 'esbuild')
TOOLS = ('bash', 'sh', 'sed', 'grep', 'head', 'sort', 'env', 'printf', 'cat', 'dirname', 'readlink')


class Start(unittest.TestCase):
    """start_cloudfunction.sh in a checkout of stand-ins: nothing is installed or built."""

    def start(self, *arguments, **environment):
        """What it would run in a folder called `here`, and with which CLOUDFUNCTION_ variables."""
        home = pathlib.Path(tempfile.mkdtemp(prefix='cloudfunction-test-')).resolve()
        self.addCleanup(shutil.rmtree, home)
        for folder in ('here', 'checkout/tools', 'checkout/build/release/bin', 'bin'):
            (home / folder).mkdir(parents=True)
        shutil.copy(SOURCE / 'start_cloudfunction.sh', home / 'checkout')
        (home / 'checkout/tools/dependencies.sh').write_text('ensure_dependencies() { :; }\nensure_user() { :; }\n')
        for path, script in (('checkout/build/release/bin/cloudfunction', 'printf "%s\\n" "$@"; env | grep ^CLOUDFUNCTION_ | sort'),
                             ('bin/ninja', 'echo "ninja: no work to do."')):
            (home / path).write_text(f'#!/bin/sh\n{script}\n')
            (home / path).chmod(0o755)
        done = subprocess.run([home / 'checkout/start_cloudfunction.sh', *arguments], cwd=home / 'here', stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, check=True, timeout=30,
                              env={'PATH': f'{home / "bin"}:{os.environ["PATH"]}', **environment})
        return done.stdout.decode().replace(str(home), '~').splitlines()

    def test_relative_paths_are_the_callers(self):
        usual = ['serve', '--config', 'config/cloudfunction.properties']
        self.assertEqual(usual, self.start())
        self.assertEqual([*usual, '--config', '~/here/my own.properties'], self.start('--config', 'my own.properties'))
        self.assertEqual([*usual, '--config', '/etc/x', '--config'], self.start('--config', '/etc/x', '--config'))
        self.assertEqual([*usual, 'CLOUDFUNCTION_DATA_DIR=~/here/my data', 'CLOUDFUNCTION_EXECUTORS_DIR=~/here/mine'],
                         self.start(CLOUDFUNCTION_DATA_DIR='my data', CLOUDFUNCTION_EXECUTORS_DIR='mine'))
        self.assertEqual([*usual, 'CLOUDFUNCTION_WORKDIR=/tmp/x'], self.start(CLOUDFUNCTION_WORKDIR='/tmp/x'))


class Dependencies(unittest.TestCase):
    """tools/dependencies.sh sees only a folder of stand-ins: nothing of this machine."""

    def setUp(self):
        self.bin = pathlib.Path(tempfile.mkdtemp(prefix='cloudfunction-test-'))
        self.addCleanup(shutil.rmtree, self.bin)
        for tool in TOOLS:
            self.bin.joinpath(tool).symlink_to(shutil.which(tool))
        self.calls = self.bin / 'calls'
        self.calls.write_text('')
        self.stand_in('id', 'echo 0')
        self.stand_in('apt-get', f'echo "apt-get $*" >> {self.calls}')
        self.packages(self.every_package())
        self.toolchain(go='go version go1.22.1 linux/amd64', node='v20.1.0', python3='Python 3.11.2', esbuild='0.17.0', pip3='pip 23.0.1',
                       npm='9.2.0')

    def stand_in(self, name, script):
        path = self.bin / name
        path.write_text(f'#!/bin/bash\n{script}\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def toolchain(self, **versions):
        for name, version in versions.items():
            if version is None:
                (self.bin / name).unlink()
            else:
                self.stand_in(name, f'echo "{version}"')

    def packages(self, installed):
        self.stand_in('dpkg-query', 'shift 2\nfor p in "$@"; do case " %s " in *" $p "*) echo "ii $p";; esac; done'
                      % ' '.join(installed))

    def every_package(self):
        text = (SOURCE / 'tools/dependencies.sh').read_text()
        return ' '.join(re.findall(r'^(?:build|test)_packages=\(([^)]*)\)', text, re.M)).split()

    def ensure(self, groups='build tests'):
        done = subprocess.run(['bash', '-euc', f'. "{SOURCE}/tools/dependencies.sh"; ensure_dependencies {groups}'],
                              env={'PATH': str(self.bin)}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=30)
        return done.returncode, done.stdout.decode(), self.calls.read_text().splitlines()

    def installed(self):
        code, said, calls = self.ensure()
        self.assertEqual(0, code, said)
        installs = [call for call in calls if ' install ' in call]
        return [word for call in installs for word in call.split(' install ')[1].split() if not word.startswith('-')]

    def test_nothing_missing_calls_no_package_manager(self):
        self.assertEqual((0, '', []), self.ensure())

    def test_what_is_missing_is_installed(self):
        self.packages([p for p in self.every_package() if p not in ('libpoco-dev', 'cmake')])
        self.assertEqual({'libpoco-dev', 'cmake'}, set(self.installed()))

    def test_a_package_that_was_removed_is_missing(self):
        self.packages(self.every_package())
        self.stand_in('dpkg-query', 'shift 2\nfor p in "$@"; do echo "ii $p"; done | sed "s/^ii cmake/rc cmake/"')
        self.assertEqual(['cmake'], self.installed())

    def test_test_packages_only_for_tests(self):
        self.packages([p for p in self.every_package() if p != 'libcppunit-dev'])
        self.assertEqual((0, '', []), self.ensure('build'))
        self.assertEqual(['libcppunit-dev'], self.installed())

    def test_missing_languages_are_installed(self):
        if os.path.exists('/usr/local/go/bin/go'):
            self.toolchain(node=None)
            self.assertEqual(['nodejs'], self.installed())
        else:
            self.toolchain(go=None, node=None)
            self.assertEqual({'golang-go', 'nodejs'}, set(self.installed()))

    def test_a_language_that_is_too_old_is_installed(self):
        self.toolchain(go='go version go1.15.2 linux/amd64', node='v12.22.9')
        self.assertEqual({'golang-go', 'nodejs'}, set(self.installed()))

    def test_nobody_is_asked(self):
        self.packages([])
        _, _, calls = self.ensure()
        install = [call for call in calls if ' install ' in call][0]
        self.assertIn(' -y ', install)
        self.stand_in('apt-get', f'echo "$DEBIAN_FRONTEND" >> {self.calls}')
        self.assertIn('noninteractive', self.ensure()[2])

    def test_sudo_is_used_where_there_is_one(self):
        self.stand_in('id', 'echo 1000')
        self.stand_in('sudo', f'echo "sudo $1" >> {self.calls}; shift; exec "$@"')
        self.packages([p for p in self.every_package() if p != 'cmake'])
        self.assertEqual(['cmake'], self.installed())
        self.assertIn('sudo -n', self.calls.read_text(), 'without a terminal it must not ask for a password')

    def test_without_root_and_sudo_it_says_what_to_install(self):
        self.stand_in('id', 'echo 1000')
        self.packages([p for p in self.every_package() if p != 'cmake'])
        code, said, calls = self.ensure()
        self.assertEqual((1, []), (code, calls))
        self.assertIn('apt-get install -y --no-install-recommends cmake', said)

    def test_a_missing_language_alone_stops_nobody(self):
        self.stand_in('id', 'echo 1000')
        self.toolchain(node=None)
        code, said, _ = self.ensure()
        self.assertEqual(0, code)
        self.assertIn('nodejs', said)

    def test_one_package_that_does_not_exist_keeps_no_other_away(self):
        self.packages([p for p in self.every_package() if p != 'cmake'])
        self.toolchain(esbuild=None)
        self.stand_in('apt-get', f'case "$*" in *esbuild*) exit 100;; esac; echo "apt-get $*" >> {self.calls}')
        code, said, calls = self.ensure()
        self.assertEqual(0, code, said)
        self.assertTrue(any(call.endswith(' cmake') for call in calls), calls)
        self.assertIn('esbuild', said)

    def test_a_required_package_that_does_not_install_is_an_error(self):
        self.packages([p for p in self.every_package() if p != 'cmake'])
        self.stand_in('apt-get', 'case "$*" in *install*) exit 100;; esac')
        code, said, _ = self.ensure()
        self.assertEqual(1, code)
        self.assertIn('cmake', said)


class Arguments(unittest.TestCase):
    def test_unknown_arguments_show_the_usage(self):
        done = subprocess.run([str(SOURCE / 'run_tests.sh'), '--nonsense'], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=20)
        self.assertEqual(2, done.returncode)
        for word in (b'--quick', b'--long', b'--against'):
            self.assertIn(word, done.stdout)
