"""Calls that waited behind another one of their worker; the same of each language."""
import time


class LentCalls:
    """`sleeper` gives a shim whose handler waits for as many seconds as the event says."""

    def test_what_waited_too_long_is_not_begun(self):
        shim = self.sleeper()
        now = time.monotonic_ns() // 1000
        late = shim.start(0, begin_by_us=now - 1)
        frame = shim.receive('NOT_BEGUN', 'RESULT', 'ERROR')
        self.assertEqual((frame.type, frame.id, frame.payload), ('NOT_BEGUN', late, b''))
        self.assertTrue(shim.invoke(0, begin_by_us=now + 60 * 10 ** 6).ok)
        self.assertTrue(shim.invoke(0).ok)

    def test_what_waits_behind_a_long_call_is_not_begun(self):
        shim = self.sleeper()
        first = shim.start(0.3)
        second = shim.start(0, begin_by_us=time.monotonic_ns() // 1000 + 50000)
        self.assertTrue(shim.answer(first).ok)
        frame = shim.receive('NOT_BEGUN', 'RESULT', 'ERROR')
        self.assertEqual((frame.type, frame.id), ('NOT_BEGUN', second))
