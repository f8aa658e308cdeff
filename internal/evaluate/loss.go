package evaluate

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/llama"
)

const (
	// groupTokens bounds what shares the cache. Attention runs over all of it,
	// masked, so a larger group costs more than larger batches save.
	groupTokens = 512
	// sequences bounds the samples of a group.
	sequences = 64
	// logitBytes bounds the logits of one decode.
	logitBytes = 64 << 20
)

// Loss is a sum of token losses over trained tokens.
type Loss struct {
	Samples int     // with at least one trained token
	Tokens  int     // trained tokens
	Bytes   int64   // of their text; control tokens have none
	Nats    float64 // sum of -log p
}

func (l *Loss) add(m Loss) {
	l.Samples, l.Tokens, l.Bytes, l.Nats = l.Samples+m.Samples, l.Tokens+m.Tokens, l.Bytes+m.Bytes, l.Nats+m.Nats
}

// Mean is the loss per trained token in nats, NaN when there is none.
func (l Loss) Mean() float64 { return l.Nats / float64(l.Tokens) }

// Perplexity is exp(Mean).
func (l Loss) Perplexity() float64 { return math.Exp(l.Mean()) }

// BitsPerByte is the loss per byte of trained text, which does not depend on
// the vocabulary. It is +Inf when the trained tokens have no text.
func (l Loss) BitsPerByte() float64 { return l.Nats / math.Ln2 / float64(l.Bytes) }

// ContextOptions returns a context that MeasureLoss can run samples in, and
// generation with room for extra more tokens. Threads, cache types and flash
// attention are taken from o.
func ContextOptions(samples []dataset.Sample, extra int, o llama.ContextOptions) llama.ContextOptions {
	longest := 0
	for i := range samples {
		longest = max(longest, len(samples[i].Tokens))
	}
	o.Ctx = max(groupTokens, longest+extra)
	o.Batch, o.UBatch = groupTokens, groupTokens
	o.Sequences = sequences
	return o
}

// MeasureLoss sums the losses of the trained tokens of samples. Several
// samples go through the model at the same time. progress, which may be nil,
// is told the number of samples begun.
func MeasureLoss(ctx context.Context, c *llama.Context, samples []dataset.Sample, progress func(int)) (Loss, error) {
	var sum Loss
	each, err := MeasureLosses(ctx, c, samples, progress)
	for _, l := range each {
		sum.add(l)
	}
	return sum, err
}

// MeasureLosses is MeasureLoss sample by sample. Samples counts 1 where a
// sample has trained tokens and 0 elsewhere.
func MeasureLosses(ctx context.Context, c *llama.Context, samples []dataset.Sample, progress func(int)) ([]Loss, error) {
	r := &runner{c: c, pieces: pieceLengths(c.Model().Vocab()), losses: make([]Loss, len(samples))}
	r.outputs = max(1, logitBytes/(4*c.Model().Vocab().Size()))
	for i := range samples {
		if err := ctx.Err(); err != nil {
			return r.losses, err
		}
		if progress != nil {
			progress(i + 1)
		}
		if samples[i].Trained() == 0 {
			continue
		}
		if err := r.add(&samples[i], i); err != nil {
			return r.losses, fmt.Errorf("loss of %s: %w", samples[i].Where(), err)
		}
		r.losses[i].Samples = 1
	}
	err := r.flush()
	r.clear()
	return r.losses, err
}

// runner feeds samples to a context and sums their losses.
type runner struct {
	c       *llama.Context
	pieces  func(token int32) int
	outputs int // most logits rows of one decode

	batch   llama.Batch
	targets []target // of the batch's logits rows
	used    int      // tokens in the cache
	seq     int32    // next free sequence
	losses  []Loss
}

// target is a token that must be predicted from the logits of a batch row.
type target struct {
	row    int
	token  int32
	sample int
}

// add queues the tokens of s as a sequence of its own. The last token predicts
// nothing and is left out.
func (r *runner) add(s *dataset.Sample, index int) error {
	n := len(s.Tokens) - 1
	o := r.c.Options()
	if n > o.Ctx {
		return fmt.Errorf("%d tokens exceed the context of %d", len(s.Tokens), o.Ctx)
	}
	if r.used > 0 && (r.used+n > groupTokens || int(r.seq) == o.Sequences) {
		if err := r.flush(); err != nil {
			return err
		}
		r.clear()
	}
	for i, token := range s.Tokens[:n] {
		if r.batch.Len() == o.Batch || len(r.targets) == r.outputs {
			if err := r.flush(); err != nil {
				return err
			}
		}
		wanted := s.Train[i+1]
		if wanted {
			r.targets = append(r.targets, target{r.batch.Len(), s.Tokens[i+1], index})
		}
		r.batch.Add(token, int32(i), r.seq, wanted)
	}
	r.used += n
	r.seq++
	return nil
}

func (r *runner) clear() {
	r.c.ClearMemory()
	r.used, r.seq = 0, 0
}

// flush decodes what is queued and adds the losses of its targets, always in
// the same order, so that sums do not vary.
func (r *runner) flush() error {
	if r.batch.Len() == 0 {
		return nil
	}
	if err := r.c.Decode(r.batch); err != nil {
		return err
	}
	rows := make([][]float32, len(r.targets))
	for i, t := range r.targets {
		rows[i] = r.c.Logits(t.row)
	}
	for i, nats := range lossesOf(rows, r.targets) {
		r.losses[r.targets[i].sample].add(Loss{Tokens: 1, Bytes: int64(r.pieces(r.targets[i].token)), Nats: nats})
	}
	r.batch.Reset()
	r.targets = r.targets[:0]
	return nil
}

// lossesOf computes -log softmax(row)[token] of every row on all processors.
func lossesOf(rows [][]float32, targets []target) []float64 {
	losses := make([]float64, len(rows))
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(rows); i += workers {
				losses[i] = negativeLogLikelihood(rows[i], targets[i].token)
			}
		})
	}
	wg.Wait()
	return losses
}

// negativeLogLikelihood is log(sum exp(l - max)) + max - l[token].
func negativeLogLikelihood(logits []float32, token int32) float64 {
	top := logits[0]
	for _, l := range logits {
		top = max(top, l)
	}
	var sum float64
	for _, l := range logits {
		sum += math.Exp(float64(l - top))
	}
	return math.Log(sum) + float64(top) - float64(logits[token])
}

// pieceLengths returns a function from a token to the bytes of its text,
// remembering what it was asked.
func pieceLengths(v *llama.Vocab) func(int32) int {
	known := map[int32]int{}
	return func(token int32) int {
		n, ok := known[token]
		if !ok {
			n = len(v.Text([]int32{token}))
			known[token] = n
		}
		return n
	}
}
