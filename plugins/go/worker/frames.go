package worker

import "encoding/binary"

// Frame types and item tags of the worker protocol, version 2 (docs/worker-protocol.md).
const (
	frameHello      = 1
	frameLoad       = 2
	frameReady      = 3
	frameLoadFailed = 4
	frameInvoke     = 5
	frameResult     = 6
	frameError      = 10
	frameCancel     = 15
	frameStop       = 18
	frameNotBegun   = 19

	tagVersion         = 1
	tagLanguage        = 2
	tagConcurrency     = 3
	tagHandler         = 5
	tagEnvironment     = 6
	tagFunctionName    = 7
	tagFunctionVersion = 8
	tagMemoryMb        = 9
	tagRemainingMs     = 11
	tagInvocationID    = 12
	tagRequestID       = 13
	tagDeadlineMs      = 14
	tagRunNs           = 15
	tagBeginBy         = 21

	headerSize     = 16
	itemHeaderSize = 8
	maxPayload     = 16 << 20
	maxDocument    = 64 << 10
)

var le = binary.LittleEndian

// beginFrame appends a header whose size endFrame fills in; start is len(b) before the call.
func beginFrame(b []byte, kind byte, id uint64) []byte {
	b = append(b, 0, 0, 0, 0, kind, 0, 0, 0)
	return append64(b, id)
}

func endFrame(b []byte, start int) []byte {
	le.PutUint32(b[start:], uint32(len(b)-start-headerSize))
	return b
}

func append32(b []byte, v uint32) []byte {
	return append(b, byte(v), byte(v>>8), byte(v>>16), byte(v>>24))
}

func append64(b []byte, v uint64) []byte {
	return append32(append32(b, uint32(v)), uint32(v>>32))
}

func appendNumber(b []byte, tag uint16, v uint64) []byte {
	return append64(appendItemHeader(b, tag, 8), v)
}

func appendItemHeader(b []byte, tag uint16, size int) []byte {
	return append32(append(b, byte(tag), byte(tag>>8), 0, 0), uint32(size))
}

// nextItem takes the first item off b; ok is false at the end of the block or where it is malformed.
func nextItem(b []byte) (tag uint16, value, rest []byte, ok bool) {
	if len(b) < itemHeaderSize {
		return 0, nil, nil, false
	}
	tag = le.Uint16(b)
	size := uint64(le.Uint32(b[4:]))
	b = b[itemHeaderSize:]
	if size > uint64(len(b)) {
		return 0, nil, nil, false
	}
	return tag, b[:size], b[size:], true
}

func number(value []byte) uint64 {
	if len(value) != 8 {
		return 0
	}
	return le.Uint64(value)
}
