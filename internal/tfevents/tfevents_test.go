package tfevents

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden file")

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// writeSample is what testdata/scalars.tfevents holds. TensorBoard's own
// reader found these tags, steps and values in it.
func writeSample(t *testing.T, w *Writer) {
	t.Helper()
	at := time.Unix(1_700_000_000, 250_000_000)
	if err := w.write(versionEvent(at)); err != nil {
		t.Fatal(err)
	}
	for step, loss := range []float32{2.5, 1.25, 0.625} {
		if err := w.Scalar("train/loss", int64(step), loss, at.Add(time.Duration(step)*time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Scalar("eval/loss", 1<<40, float32(math.Inf(1)), at); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestGolden(t *testing.T) {
	var got bytes.Buffer
	writeSample(t, newWriter(nopCloser{&got}, "sample"))
	golden := filepath.Join("testdata", "scalars.tfevents")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("encoding changed:\n got %x\nwant %x", got.Bytes(), want)
	}
}

// TestMaskedCRC uses the check value of CRC-32C for "123456789", 0xe3069283.
func TestMaskedCRC(t *testing.T) {
	crc := uint32(0xe3069283)
	want := (crc>>15 | crc<<17) + 0xa282ead8
	if got := maskedCRC([]byte("123456789")); got != want {
		t.Errorf("got %#x, want %#x", got, want)
	}
}

// TestRestart spells out Event{wall_time: 0.5, step: 300, session_log: {status: START}}.
func TestRestart(t *testing.T) {
	var got bytes.Buffer
	w := newWriter(nopCloser{&got}, "sample")
	if err := errors.Join(w.Restart(300, time.Unix(0, 500_000_000)), w.Close()); err != nil {
		t.Fatal(err)
	}
	want := frame([]byte("\x09\x00\x00\x00\x00\x00\x00\xe0\x3f" + "\x10\xac\x02" + "\x3a\x02\x08\x01"))
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("got  %x\nwant %x", got.Bytes(), want)
	}
}

func TestCreateWritesWholeFrames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "one")
	a, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := Create(dir)
	if err != nil {
		t.Fatalf("a second writer in the same second: %v", err)
	}
	for i := range 3 {
		if err := a.Scalar("loss", int64(i), 1, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.Flush(), a.Close(), a.Close(), b.Close()); err != nil {
		t.Fatal(err)
	}
	if err := a.Scalar("loss", 4, 1, time.Now()); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
	data, err := os.ReadFile(a.name)
	if err != nil {
		t.Fatal(err)
	}
	if n := countFrames(t, data); n != 4 {
		t.Errorf("%d frames, want the version and 3 scalars", n)
	}
}

// countFrames walks TFRecord frames, checking both checksums of each.
func countFrames(t *testing.T, data []byte) (n int) {
	t.Helper()
	for ; len(data) > 0; n++ {
		size := binary.LittleEndian.Uint64(data)
		body := data[12 : 12+size]
		if binary.LittleEndian.Uint32(data[8:]) != maskedCRC(data[:8]) {
			t.Fatalf("frame %d: checksum of the length", n)
		}
		if binary.LittleEndian.Uint32(data[12+size:]) != maskedCRC(body) {
			t.Fatalf("frame %d: checksum of the data", n)
		}
		data = data[16+size:]
	}
	return n
}
