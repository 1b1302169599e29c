"""One tree of control groups of version 2, with all controllers: a machine of its own, because this one may have
another. The launcher's own tests and the limits of real functions run in there."""
import os
import pathlib
import shutil
import sys
import unittest

import machine

UNIT_SANDBOX = os.environ.get('CLOUDFUNCTION_UNIT_SANDBOX', str(machine.SOURCE / 'build/ci/bin/unit_sandbox'))
BINARY = os.environ.get('CLOUDFUNCTION_BINARY', str(machine.SOURCE / 'build/ci/bin/cloudfunction'))

# What control groups decide and version 1 decides otherwise. Nothing there hurries: the machine is emulated, and shares
# its processors with other tests; each of these starts a launcher of its own, which takes seconds there.
TESTS = ('CgroupTest', 'AttachTest::testAppliesLimits', 'LimitsTest::testMemoryHogIsKilledAndNamed',
         'LimitsTest::testOutOfMemoryTakesTheWholeTree', 'LimitsTest::testPeakIsReadable',
         'LimitsTest::testProcessesAreLimited', 'LimitsTest::testProcessorQuotaIsSet', 'LimitsTest::testSharesAWeight',
         'LimitsTest::testProcessorTimeIsReadable', 'LimitsTest::testKillTakesTheWholeTree', 'LimitsTest::testNothingIsLeft',
         'ToolTest::testKilledToolGivesFilesBack', 'LauncherTest::testLayersAreReported',
         'LauncherTest::testWorkersSurviveTheLauncher', 'LauncherTest::testStartSweepsWhatItsInstanceLeft')


class CgroupV2(unittest.TestCase):
    """Both tests in one machine: it takes a while to come up."""

    @classmethod
    def setUpClass(cls):
        # What the interpreter's shim would find; version managers hide behind PATH.
        python = shutil.which('python3') or sys.executable
        path = os.environ.get('PATH', '/usr/bin:/bin')
        command = (f'cd / && ls /sys/fs/cgroup/cgroup.controllers && export CLOUDFUNCTION_TEST_PATIENCE=300\n'
                   f'{UNIT_SANDBOX} {" ".join("cf::sandbox::test::" + test for test in TESTS)} 2>&1 && echo "launcher: held"\n'
                   f'export PATH={path} HOME=/root CLOUDFUNCTION_SOURCE={machine.SOURCE} CLOUDFUNCTION_BINARY={BINARY} '
                   f'PYTHONDONTWRITEBYTECODE=1\n'
                   f'cd {pathlib.Path(__file__).parent} && {python} -m unittest guest_limits 2>&1')
        try:
            folders = {machine.SOURCE, *(pathlib.Path(file).parents[1] for file in (UNIT_SANDBOX, BINARY))}
            cls.output, cls.status = machine.run(command, 1700, folders)
        except machine.Unavailable as why:
            raise unittest.SkipTest(f'no virtual machine here: {why}') from None

    def test_the_launcher(self):
        self.assertTrue('launcher: held\r\n' in self.output, self.output[-12000:])

    def test_functions(self):
        self.assertEqual(0, self.status, self.output[-12000:])


if __name__ == '__main__':
    unittest.main()
