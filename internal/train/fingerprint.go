package train

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/gguf"
)

// DataFingerprint is a digest of everything about a set that training sees:
// tokens, loss masks, and the sources' weights.
func DataFingerprint(set *dataset.Set) string {
	h := sha256.New()
	w := bufio.NewWriter(h) // a hash's Write never fails
	word := func(v uint32) { w.Write(binary.LittleEndian.AppendUint32(nil, v)) }
	for _, s := range set.Samples {
		word(uint32(len(s.Tokens)))
		word(uint32(int32(s.Source)))
		for i, token := range s.Tokens {
			trained := uint32(0)
			if s.Train[i] {
				trained = 1 << 31
			}
			word(uint32(token) | trained)
		}
	}
	for _, s := range set.Sources {
		fmt.Fprintf(w, "weight %g\n", s.Weight)
	}
	w.Flush()
	return hexDigest(h)
}

// sampled is how much of each tensor's data the fingerprint of a model reads.
const sampled = 4096

// ModelFingerprint is a digest of a model's tensors, their names, shapes and
// types and the first bytes of each: enough to tell models apart without
// reading gigabytes.
func ModelFingerprint(f *gguf.File) string {
	h := sha256.New()
	for _, t := range f.Tensors() {
		fmt.Fprintf(h, "%q %v %d\n", t.Name, t.Dims, t.Type)
		data := f.Data(t)
		h.Write(data[:min(len(data), sampled)])
	}
	return hexDigest(h)
}

// hexDigest is the first 128 bits of a digest.
func hexDigest(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)[:16]) }
