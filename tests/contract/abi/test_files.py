"""The ABI as files: the layout of each released minor, what the built plugins export, how the real ones describe themselves."""
import json
import os
import pathlib
import subprocess
import unittest

HERE = pathlib.Path(__file__).parent


def plugins(variable):
    return sorted(pathlib.Path(os.environ[variable]).glob("*.so"))


class Layout(unittest.TestCase):
    def test_released_layouts_are_kept(self):
        now = set(subprocess.run([os.environ["CF_LAYOUT"]], check=True, capture_output=True, text=True).stdout.splitlines())
        for golden in sorted(HERE.glob("layout-*.txt")):
            # A later minor may make structs longer; nothing that was there may move.
            released = {line for line in golden.read_text().splitlines() if "." in line}
            self.assertEqual(released - now, set(), f"{golden.name}: these fields have moved")

    def test_the_layout_of_this_minor_is_recorded(self):
        minor = [line.split()[2] for line in (HERE / "../../../kernel/include/cloudfunction/abi.h").read_text().splitlines()
                 if line.startswith("#define CF_ABI_MINOR")][0]
        golden = (HERE / f"layout-1.{minor}.txt").read_text()
        now = subprocess.run([os.environ["CF_LAYOUT"]], check=True, capture_output=True, text=True).stdout
        self.assertEqual(golden, now)


class Exports(unittest.TestCase):
    def test_every_plugin_exports_its_entry_and_nothing_else(self):
        found = plugins("CF_FIXTURES") + plugins("CF_PLUGINS")
        self.assertGreater(len(found), 15)
        for plugin in found:
            if plugin.name == "no_entry.so":
                continue
            symbols = subprocess.run(["nm", "-D", "--defined-only", plugin], check=True, capture_output=True, text=True).stdout
            names = [line.split()[-1].split("@")[0] for line in symbols.splitlines()]
            self.assertEqual(names, ["cf_executor_entry"], plugin.name)


class RealPlugins(unittest.TestCase):
    def test_they_describe_themselves(self):
        found = plugins("CF_PLUGINS")
        if not found:
            self.skipTest("no plugin was built")
        for plugin in found:
            with self.subTest(plugin.name):
                probe = subprocess.run([os.environ["CF_PROBE"], "probe-executor", plugin, plugin.parent], input="{}",
                                       capture_output=True, text=True, timeout=60)
                report = json.loads(probe.stdout.splitlines()[-1])
                self.assertEqual(report["id"], plugin.stem, probe.stderr)
                self.assertEqual(report["abi"].split(".")[0], "1")
                manifest = json.loads(report["manifest"])
                self.assertTrue(manifest["display_name"])
                for runtime in manifest["runtimes"]:
                    self.assertTrue(runtime["default_handler"] and runtime["source_file"] and runtime["templates"])
                # Without a toolchain it says what is missing; with one it says which.
                if "unavailable" in report:
                    self.assertTrue(report["unavailable"]["reason"])
                else:
                    self.assertRegex(json.loads(report["found"])["version"], r"^\d+\.\d+")


if __name__ == "__main__":
    unittest.main()
