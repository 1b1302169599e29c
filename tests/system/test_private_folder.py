"""The platform in a folder that only root may enter, such as a checkout below /root."""
import os
import tempfile

from platform_fixture import OwnPlatformTest, request


class PrivateFolder(OwnPlatformTest):
    def test_data_in_a_private_folder(self):
        home = tempfile.mkdtemp(prefix='cloudfunction test ')  # mode 0700
        self.addCleanup(os.rmdir, home)
        platform = self.start(data=os.path.join(home, 'private'))
        name = self.function('python', 'def handler(event):\n    print("printed")\n    return event\n')
        self.assertEqual(1, self.result(name, 1))
        self.assertEqual([], request(platform.url, 'GET', '/api/health').json['problems'])
        self.assertTrue(any(path.suffix == '.log' for path in platform.files(platform.data)), 'its logs are seen from outside')
