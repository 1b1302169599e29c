"""The harness against the test vectors, and against a shim of ten lines."""
import json
import os
import struct
import sys
import unittest

import harness

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'vectors.json'), encoding='utf-8') as _file:
    VECTORS = json.load(_file)

ECHO = r"""
import os, struct
def send(type, id, payload):
    os.write(3, struct.pack('<IBBHQ', len(payload), type, 0, 0, id) + payload)
def item(tag, value):
    return struct.pack('<HHI', tag, 0, len(value)) + value
number = struct.Struct('<Q').pack
send(1, 0, item(1, number(2)) + item(2, b"0.1") + item(3, number(1)))
while True:
    header = os.read(3, 16)
    if not header: break
    size, type, _, _, id = struct.unpack('<IBBHQ', header)
    payload = os.read(3, size) if size else b''
    if type == 2: send(3, 0, b'')
    if type == 5:
        event_size, = struct.unpack_from('<I', payload)
        send(11, id, item(16, number(1)) + item(17, b'seen\n'))
        os.write(2, b'native\n')
        send(6, id, payload[:4] + payload[8:8 + event_size] + item(15, number(5)))
    if type == 18: break
"""


def interpret(frame):
    """Reads all that a frame says; raises ShimError where it is not sound."""
    if frame.type in ('RESULT', 'ERROR'):
        body, items = harness.split_document(frame.payload)
        return {'document': harness.parse_json(body), 'items': [list(pair) for pair in items.items()]}
    if frame.type in ('LOAD_FAILED', 'CHECKED'):
        return {'document': harness.parse_json(frame.payload)}
    if frame.type == 'INVOKE':
        event, context = struct.unpack_from('<II', frame.payload)
        return {'event': frame.payload[8:8 + event].decode(),
                'context': frame.payload[8 + event:8 + event + context].decode(),
                'items': [list(pair) for pair in harness.decode_items(frame.payload[8 + event + context:])]}
    if frame.type in ('HELLO', 'LOAD', 'CHECK', 'LOG', 'CREDIT'):
        return {'items': [[name, value.decode() if isinstance(value, bytes) else value]
                          for name, value in harness.decode_items(frame.payload)]}
    return {}


class Vectors(unittest.TestCase):
    def test_numbers_are_those_of_the_vectors(self):
        self.assertEqual(VECTORS['types'], harness.TYPES)
        self.assertEqual(VECTORS['tags'], harness.TAGS)

    def test_every_type_has_a_vector(self):
        self.assertEqual({vector['type'] for vector in VECTORS['frames']}, set(harness.TYPES))

    def test_sound_frames_are_read_and_written(self):
        for vector in VECTORS['frames']:
            with self.subTest(vector['name']):
                data = bytes.fromhex(vector['hex'])
                frame = harness.decode(data)
                self.assertEqual((frame.type, frame.id), (vector['type'], int(vector['id'], 16)))
                self.assertEqual(frame.encode(), data)
                read = interpret(frame)
                for key in ('items', 'document', 'event', 'context'):
                    if key in vector:
                        self.assertEqual(read[key], vector[key], key)

    def test_unsound_frames_are_refused(self):
        for vector in VECTORS['invalid']:
            with self.subTest(vector['name']), self.assertRaises(harness.ShimError):
                interpret(harness.decode(bytes.fromhex(vector['hex'])))

    def test_invoke_payload_is_the_vector(self):
        vector = next(vector for vector in VECTORS['frames'] if vector['name'] == 'invoke')
        payload = harness.invoke_payload(vector['event'].encode(), vector['context'].encode(),
                                         **{name.lower(): value for name, value in vector['items']})
        self.assertEqual(harness.Frame('INVOKE', int(vector['id'], 16), payload).encode().hex(), vector['hex'])


class EchoShim(unittest.TestCase):
    def start(self):
        shim = harness.Shim([sys.executable, '-c', ECHO], timeout=10)
        self.addCleanup(shim.close)
        return shim

    def test_a_life(self):
        shim = self.start()
        self.assertEqual(shim.hello(), {'VERSION': 2, 'LANGUAGE': '0.1', 'CONCURRENCY': 1})
        self.assertTrue(shim.load('/nowhere', 'handler').ok)
        answer = shim.invoke({'a': [1]}, id=7)
        self.assertEqual((answer.type, answer.id, answer.value, answer.run_ns), ('RESULT', 7, {'a': [1]}, 5))
        self.assertEqual(answer.text(1), 'seen\n')
        self.assertEqual(shim.stop(), 0)
        self.assertEqual(bytes(shim.stderr), b'native\n')

    def test_answers_are_found_by_their_id(self):
        shim = self.start()
        shim.load('/nowhere', 'handler')
        first, second = shim.start(b'1'), shim.start(b'2')
        self.assertEqual(shim.answer(second).value, 2)
        self.assertEqual(shim.answer(first).value, 1)

    def test_what_is_not_json_is_found(self):
        shim = self.start()
        shim.load('/nowhere', 'handler')
        for event in (b'NaN', b'{', b'"\xff"'):
            with self.assertRaises(harness.ShimError):
                shim.invoke(event)

    def test_a_worker_that_leaves_is_seen(self):
        shim = harness.Shim([sys.executable, '-c', 'import sys; sys.exit("went away")'], timeout=10)
        self.addCleanup(shim.close)
        with self.assertRaisesRegex(harness.ShimError, 'went away'):
            shim.hello()
        self.assertEqual(shim.wait(), 1)


if __name__ == '__main__':
    unittest.main()
