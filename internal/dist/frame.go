package dist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Kinds of frames.
const (
	kindHello byte = iota + 1
	kindWelcome
	kindData
	kindBeat  // nothing to say, still there
	kindAbort // a rank failed; the payload says which and why
	kindBye   // the sender is done
)

// headerSize is kind, operation, sequence number and length, little-endian.
const headerSize = 1 + 1 + 4 + 4

// maxPayload bounds what a frame may ask the receiver to allocate.
const maxPayload = 16 << 20

type frame struct {
	kind, op byte
	seq      uint32
	payload  []byte
}

// link is the connection to one rank.
type link struct {
	rank    int
	conn    net.Conn
	in      chan frame // data, and the peer's goodbye
	writing sync.Mutex
}

func newLink(rank int, conn net.Conn) *link {
	return &link{rank: rank, conn: conn, in: make(chan frame, 4)}
}

// send writes one frame, which no other interrupts.
func (l *link) send(f frame) error {
	if len(f.payload) > maxPayload {
		return fmt.Errorf("a message of %d bytes, at most %d", len(f.payload), maxPayload)
	}
	head := make([]byte, 0, headerSize)
	head = append(head, f.kind, f.op)
	head = binary.LittleEndian.AppendUint32(head, f.seq)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(f.payload)))
	l.writing.Lock()
	defer l.writing.Unlock()
	parts := net.Buffers{head, f.payload}
	_, err := parts.WriteTo(l.conn)
	return err
}

// receive reads one frame; silence is how long the peer may say nothing.
func (l *link) receive(silence time.Duration, limit int) (frame, error) {
	r := patient{l.conn, silence}
	var head [headerSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return frame{}, err
	}
	f := frame{kind: head[0], op: head[1], seq: binary.LittleEndian.Uint32(head[2:])}
	n := int64(binary.LittleEndian.Uint32(head[6:]))
	if f.kind < kindHello || f.kind > kindBye || n > int64(limit) {
		return frame{}, errors.New("it does not speak our protocol")
	}
	f.payload = make([]byte, n)
	_, err := io.ReadFull(r, f.payload)
	return f, err
}

// patient gives every read its own deadline, so that a long message is no
// silence.
type patient struct {
	conn    net.Conn
	silence time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.conn.SetReadDeadline(time.Now().Add(p.silence)); err != nil {
		return 0, err
	}
	return p.conn.Read(b)
}

// lost describes the end of a connection.
func lost(err error, silence time.Duration) string {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Sprintf("was lost: no sign of it for %s", silence)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "was lost: its process ended, or was killed"
	}
	return fmt.Sprintf("was lost: %v", err)
}
