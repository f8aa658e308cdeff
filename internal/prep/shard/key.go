package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// Key says where a record belongs and what it is a copy of. Records are
// written in the byte order of Order; those of one Order must all be in one
// part and stay as they were written. Of the records of one ID, when it is not
// empty, the one of the highest Rank stays; of equal ranks, the first in order.
type Key struct {
	Order string
	ID    string
	Rank  int64
}

// valid replaces what JSON cannot carry, so that a part's file and a whole run
// see the same keys.
func (k Key) valid() Key {
	k.Order, k.ID = strings.ToValidUTF8(k.Order, "\ufffd"), strings.ToValidUTF8(k.ID, "\ufffd")
	return k
}

// place is a record among others: its Order, the part it is in and its number
// there, both from 0.
type place struct {
	order  string
	part   int
	number int64
}

// appendPlace encodes p so that bytes compare as places do. A zero byte in
// order becomes 00 ff, its end is 00 00.
func appendPlace(dst []byte, p place) []byte {
	for rest := p.order; ; {
		i := strings.IndexByte(rest, 0)
		if i < 0 {
			dst = append(dst, rest...)
			break
		}
		dst = append(append(dst, rest[:i]...), 0, 0xff)
		rest = rest[i+1:]
	}
	dst = append(dst, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.part))
	return binary.BigEndian.AppendUint64(dst, uint64(p.number))
}

// placeSize is the length of the part and the number at the end of a place.
const placeSize = 12

// placeOf reads part and number back from the end of an encoded place.
func placeOf(entry []byte) (part int, number int64) {
	tail := entry[len(entry)-placeSize:]
	return int(binary.BigEndian.Uint32(tail)), int64(binary.BigEndian.Uint64(tail[4:]))
}

// idSize is the length of a hashed ID.
const idSize = 16

// appendClaim encodes a claim of p on an ID: claims sort by ID, the strongest
// first.
func appendClaim(dst []byte, k Key, p place) []byte {
	sum := sha256.Sum256([]byte(k.ID))
	dst = append(dst, sum[:idSize]...)
	dst = binary.BigEndian.AppendUint64(dst, ^(uint64(k.Rank) ^ 1<<63))
	return appendPlace(dst, p)
}

func sameID(a, b []byte) bool { return len(a) > 0 && bytes.Equal(a[:idSize], b[:idSize]) }
