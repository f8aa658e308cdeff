package tfevents

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"
)

// Field numbers of the messages Event, Summary and Summary.Value in
// TensorFlow's event.proto and summary.proto.
const (
	eventWallTime    = 1 // double, seconds since 1970
	eventStep        = 2 // int64
	eventFileVersion = 3 // string
	eventSummary     = 5 // Summary
	eventSessionLog  = 7 // SessionLog
	summaryValue     = 1 // repeated Value
	valueTag         = 1 // string
	valueSimple      = 2 // float
	sessionStatus    = 1 // enum
)

// Wire types of the protocol-buffer encoding.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

// fileVersion opens every event file.
const fileVersion = "brain.Event:2"

func versionEvent(t time.Time) []byte {
	return appendBytes(appendWallTime(nil, t), eventFileVersion, []byte(fileVersion))
}

func scalarEvent(tag string, step int64, value float32, t time.Time) []byte {
	v := appendBytes(nil, valueTag, []byte(tag))
	v = appendKey(v, valueSimple, wireFixed32)
	v = binary.LittleEndian.AppendUint32(v, math.Float32bits(value))

	event := appendWallTime(nil, t)
	event = appendKey(event, eventStep, wireVarint)
	event = binary.AppendUvarint(event, uint64(step))
	return appendBytes(event, eventSummary, appendBytes(nil, summaryValue, v))
}

// restartEvent says that what was recorded of step and later steps is void.
func restartEvent(step int64, t time.Time) []byte {
	const start = 1 // SessionLog.START
	session := binary.AppendUvarint(appendKey(nil, sessionStatus, wireVarint), start)
	event := appendKey(appendWallTime(nil, t), eventStep, wireVarint)
	event = binary.AppendUvarint(event, uint64(step))
	return appendBytes(event, eventSessionLog, session)
}

func appendWallTime(b []byte, t time.Time) []byte {
	seconds := float64(t.UnixNano()) / 1e9
	return binary.LittleEndian.AppendUint64(appendKey(b, eventWallTime, wireFixed64), math.Float64bits(seconds))
}

func appendKey(b []byte, field, wire uint64) []byte {
	return binary.AppendUvarint(b, field<<3|wire)
}

func appendBytes(b []byte, field uint64, data []byte) []byte {
	b = appendKey(b, field, wireBytes)
	return append(binary.AppendUvarint(b, uint64(len(data))), data...)
}

// frame is one TFRecord: length, checksum of the length, data, checksum of the
// data; all integers little-endian.
func frame(data []byte) []byte {
	b := binary.LittleEndian.AppendUint64(make([]byte, 0, len(data)+16), uint64(len(data)))
	b = binary.LittleEndian.AppendUint32(b, maskedCRC(b))
	b = append(b, data...)
	return binary.LittleEndian.AppendUint32(b, maskedCRC(data))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC rotates and shifts the CRC-32C, so that the checksum of data which
// itself holds checksums stays meaningful.
func maskedCRC(data []byte) uint32 {
	const maskDelta = 0xa282ead8
	crc := crc32.Checksum(data, castagnoli)
	return (crc>>15 | crc<<17) + maskDelta
}
