package bpe

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
)

// MaxPiece is the longest token the trainer makes, in bytes. It keeps rules of
// equals signs and other decoration out of a small vocabulary.
const MaxPiece = 32

// Trainer counts words and learns merges from them.
type Trainer struct {
	counts map[string]int64
	bytes  int64
}

// NewTrainer returns a trainer that has seen no text.
func NewTrainer() *Trainer { return &Trainer{counts: make(map[string]int64)} }

// Add counts the words of a text.
func (t *Trainer) Add(text string) {
	t.bytes += int64(len(text))
	for word := range Split(Clean(text)) {
		if n, ok := t.counts[word]; ok {
			t.counts[word] = n + 1
			continue
		}
		t.counts[strings.Clone(word)] = 1
	}
}

// Bytes is the amount of text added so far; Words the number of distinct words.
func (t *Trainer) Bytes() int64 { return t.bytes }

// Words is the number of distinct words added so far.
func (t *Trainer) Words() int { return len(t.counts) }

// Train learns a vocabulary of size tokens, the 256 bytes and the specials
// included. Ties between equally frequent pairs go to the pair with the lower
// ids. It fails when the text has too few distinct pairs to fill the vocabulary.
func (t *Trainer) Train(size int, specials []string) (*Vocab, error) {
	want := size - 256 - len(specials)
	if want < 0 {
		return nil, fmt.Errorf("vocabulary of %d tokens cannot hold 256 bytes and %d special tokens", size, len(specials))
	}
	l := newLearner(t.counts)
	for len(l.merges) < want {
		if !l.mergeBest() {
			return nil, fmt.Errorf("the text yields %d merges, %d are needed for a vocabulary of %d: add text or ask for fewer tokens", len(l.merges), want, size)
		}
	}
	return newVocab(l.merges, specials), nil
}

// word is one distinct word as token ids, and how often it occurs.
type word struct {
	ids   []int32
	count int64
}

// learner keeps the count of every adjacent pair up to date while it merges.
type learner struct {
	words   []word
	counts  map[pair]int64
	where   map[pair][]int32 // words that hold, or once held, the pair
	queue   pairQueue
	lengths []int // bytes in each token
	merges  []pair
	touched map[pair]struct{}
}

func newLearner(counts map[string]int64) *learner {
	l := &learner{counts: make(map[pair]int64), where: make(map[pair][]int32), touched: make(map[pair]struct{})}
	for range 256 {
		l.lengths = append(l.lengths, 1)
	}
	for _, text := range sortedKeys(counts) {
		l.addWord(text, counts[text])
	}
	for p, n := range l.counts {
		l.queue = append(l.queue, scored{p, n})
	}
	heap.Init(&l.queue)
	return l
}

func sortedKeys(counts map[string]int64) []string {
	keys := make([]string, 0, len(counts))
	for k := range counts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (l *learner) addWord(text string, count int64) {
	ids := make([]int32, len(text))
	for i := range len(text) {
		ids[i] = int32(text[i])
	}
	at := int32(len(l.words))
	l.words = append(l.words, word{ids, count})
	for i := 1; i < len(ids); i++ {
		l.note(pair{ids[i-1], ids[i]}, count, at)
	}
}

// note counts a pair that word at did not hold before.
func (l *learner) note(p pair, count int64, at int32) {
	l.counts[p] += count
	if w := l.where[p]; len(w) == 0 || w[len(w)-1] != at {
		l.where[p] = append(w, at)
	}
}

// mergeBest makes the most frequent pair a token; false when no pair is left.
func (l *learner) mergeBest() bool {
	for len(l.queue) > 0 {
		top := heap.Pop(&l.queue).(scored)
		if now := l.counts[top.pair]; now != top.count {
			if now > 0 && now < top.count {
				heap.Push(&l.queue, scored{top.pair, now})
			}
			continue
		}
		if top.count > 0 && l.lengths[top.left]+l.lengths[top.right] <= MaxPiece {
			l.merge(top.pair)
			return true
		}
	}
	return false
}

func (l *learner) merge(p pair) {
	id := int32(len(l.lengths))
	l.lengths = append(l.lengths, l.lengths[p.left]+l.lengths[p.right])
	l.merges = append(l.merges, p)
	for _, at := range l.where[p] {
		l.mergeWord(at, p, id)
	}
	delete(l.counts, p)
	delete(l.where, p)
	for q := range l.touched {
		if n := l.counts[q]; n > 0 && q != p {
			heap.Push(&l.queue, scored{q, n})
		}
	}
	clear(l.touched)
}

// mergeWord replaces p by id in one word: the pairs of the old spelling are
// taken back and those of the new one counted.
func (l *learner) mergeWord(at int32, p pair, id int32) {
	w := &l.words[at]
	if !holds(w.ids, p) {
		return
	}
	for i := 1; i < len(w.ids); i++ {
		l.counts[pair{w.ids[i-1], w.ids[i]}] -= w.count
	}
	w.ids = replace(w.ids, p, id)
	for i := 1; i < len(w.ids); i++ {
		q := pair{w.ids[i-1], w.ids[i]}
		if q.left != id && q.right != id {
			l.counts[q] += w.count
			continue
		}
		l.note(q, w.count, at)
		l.touched[q] = struct{}{}
	}
}

func holds(ids []int32, p pair) bool {
	for i := 1; i < len(ids); i++ {
		if ids[i-1] == p.left && ids[i] == p.right {
			return true
		}
	}
	return false
}

// replace rewrites ids in place, from left to right.
func replace(ids []int32, p pair, id int32) []int32 {
	out := ids[:0]
	for i := 0; i < len(ids); i++ {
		if i+1 < len(ids) && ids[i] == p.left && ids[i+1] == p.right {
			out = append(out, id)
			i++
			continue
		}
		out = append(out, ids[i])
	}
	return out
}

// scored is a queued pair with the count it had when it was queued.
type scored struct {
	pair
	count int64
}

// pairQueue is a heap with the most frequent pair on top, ties by lower ids.
// Entries may be out of date; mergeBest checks them against the live counts.
type pairQueue []scored

func (q pairQueue) Len() int      { return len(q) }
func (q pairQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q pairQueue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if a.count != b.count {
		return a.count > b.count
	}
	if a.left != b.left {
		return a.left < b.left
	}
	return a.right < b.right
}

// Push appends a scored pair; it is for container/heap.
func (q *pairQueue) Push(x any) { *q = append(*q, x.(scored)) }

// Pop removes the last pair; it is for container/heap.
func (q *pairQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}
