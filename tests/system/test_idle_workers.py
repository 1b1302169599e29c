"""Between two calls a worker has nothing to do. One that computes all the same loses its process, and nobody else waits for
it; one that only keeps house keeps it."""
import pathlib
import time
import unittest

from platform_fixture import SystemTest, cgroups, descendants, wait_until

# The worker's process, then whatever it leaves behind.
LEAVES_PROCESSES = '''\
import os, signal
born = os.urandom(8).hex()
def handler(event):
    for _ in range(event):
        if os.fork() == 0:
            os.setsid()
            while True: pass
    return born
'''
LEAVES_A_THREAD = '''\
import os, threading
born = os.urandom(8).hex()
def spin():
    while True: pass
def handler(event):
    if event: threading.Thread(target=spin, daemon=True).start()
    return born
'''
# Timers, garbage and code that was just compiled: what honest functions have.
HONEST_NODE = '''\
const born = Math.random();
let ticks = 0, cache = [];
setInterval(() => { ticks++; }, 20);
setInterval(() => { cache = Array.from({length: 20000}, (_, i) => ({i, text: "x" + i})); }, 500);
exports.handler = async () => {
  let garbage = [];
  for (let i = 0; i < 200000; i++) garbage.push({i});
  return {born, ticks};
};
'''
HONEST_GO = '''\
package main

import (
	"runtime"
	"time"
)

var born = time.Now().UnixNano()
var kept [][]byte

func init() {
	go func() {
		for range time.Tick(20 * time.Millisecond) {
			kept = append(kept[:0], make([]byte, 1<<20))
		}
	}()
}

func Handler(event any) (any, error) {
	for i := 0; i < 200; i++ {
		kept = append(kept, make([]byte, 1<<10))
	}
	runtime.GC()
	return map[string]any{"born": born}, nil
}
'''


class IdleWorkers(SystemTest):
    properties = {'workers.prewarmed': 0}

    def log(self, name):
        return self.get(f'/api/v1/functions/{name}/logs').text

    def loses_its_worker(self, code, event):
        name = self.function('python', code)
        first = self.result(name, event)
        # Asking would be calls; the log tells when it is over.
        wait_until(lambda: 'processor time between calls' in self.log(name), 'the worker to be ended', 120)
        self.assertIn('sandbox.idle_cpu', self.log(name))
        self.assertNotEqual(first, self.result(name, 0))

    def test_processes_that_are_left_behind(self):
        self.loses_its_worker(LEAVES_PROCESSES, 8)

    def test_a_thread_that_is_left_behind(self):
        self.loses_its_worker(LEAVES_A_THREAD, 1)

    def test_timers_and_garbage(self):
        names = [self.function('node', HONEST_NODE), self.function('go', HONEST_GO, 'Handler')]
        born = [self.result(name)['born'] for name in names]
        # Twice as long as it takes to catch one that does compute.
        for _ in range(2):
            self.loses_its_worker(LEAVES_A_THREAD, 1)
        self.assertEqual(born, [self.result(name)['born'] for name in names])
        for name in names:
            self.assertNotIn('processor time between calls', self.log(name))


class WithoutLimit(SystemTest):
    properties = {'workers.prewarmed': 0, 'sandbox.idle_cpu': 0}

    def test_the_operator_may_allow_it(self):
        name = self.function('python', LEAVES_A_THREAD)
        first = self.result(name, 1)
        time.sleep(5)
        self.assertEqual(first, self.result(name, 0))


class Quota(SystemTest):
    properties = {'workers.prewarmed': 0, 'sandbox.cpus': 1}

    def test_a_worker_has_so_many_cores(self):
        layer = next(layer for layer in self.get('/api/health').json['sandbox']['layers'] if layer['name'] == 'cpu_limit')
        if not layer['active']:
            self.skipTest(layer['detail'])
        self.result(self.function('python', LEAVES_A_THREAD), 0)
        own = {str(pid) for pid in descendants(self.platform.process.pid)}
        quotas = set()
        for folder in map(pathlib.Path, cgroups()):
            files = [folder / name for name in ('cpu.max', 'cpu.cfs_quota_us') if (folder / name).exists()]
            is_workers = folder.parent.name.startswith('cloudfunction-')
            if is_workers and files and own & set((folder / 'cgroup.procs').read_text().split()):
                quotas.add(files[0].read_text().split()[0])
        self.assertEqual({'100000'}, quotas)


if __name__ == '__main__':
    unittest.main()
