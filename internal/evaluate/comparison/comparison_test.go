package comparison

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

var options = Options{Seed: 1, Resamples: 1000, Level: 0.95}

// pair is a base and a variant whose losses differ by about shift per token.
func pair(seed uint64, n int, shift, noise float64) (base, v Measured) {
	rng := rand.New(rand.NewPCG(seed, 0))
	base, v = Measured{Name: "base", Kind: Base}, Measured{Name: "mine", Kind: Adapter}
	for i := range n {
		tokens := 5 + rng.IntN(50)
		nats := float64(tokens) * (2 + rng.Float64())
		where := fmt.Sprintf("data.jsonl:%d", i+1)
		base.Samples = append(base.Samples, Sample{where, tokens, int64(3 * tokens), nats})
		v.Samples = append(v.Samples, Sample{where, tokens, int64(3 * tokens), nats + float64(tokens)*(shift+noise*rng.NormFloat64())})
		base.Gaps = append(base.Gaps, Gap{where, []string{"go", "c"}[i%2], i%4 == 0, 0.5})
		v.Gaps = append(v.Gaps, Gap{where, []string{"go", "c"}[i%2], i%2 == 0, 0.6})
		base.Passages = append(base.Passages, Passage{Tokens: 10, Nats: 30})
		v.Passages = append(v.Passages, Passage{Tokens: 10, Nats: 31 + rng.NormFloat64(), KL: 0.5, Same: 9})
		base.Answers = append(base.Answers, Answer{Where: where, Prompt: "p<b>", Reference: "r", Text: "<script>alert(1)</script>", Similarity: 0.5})
		v.Answers = append(v.Answers, Answer{Where: where, Prompt: "p<b>", Reference: "r", Text: "t", Similarity: 0.5 + []float64{0.1, 0.01, -0.1}[i%3]})
	}
	return base, v
}

func compare(t *testing.T, base Measured, variants ...Measured) *Report {
	t.Helper()
	r, err := Compare(base, variants, options)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestVerdicts(t *testing.T) {
	const seed = 3
	for shift, want := range map[float64]Verdict{-0.2: Helped, 0.2: Hurt, 0: Unclear} {
		base, v := pair(seed, 60, shift, 0.1)
		r := compare(t, base, v).Variants[0]
		if r.Verdict != want || !strings.HasSuffix(r.Sentence, ".") || strings.Contains(r.Sentence, "NaN") {
			t.Errorf("seed %d, shift %g: %s, %s", seed, shift, r.Verdict, r.Sentence)
		}
		if d := r.LossDifference; math.Abs(d.Mean-shift) > 0.05 || d.Interval == nil || d.Interval.Low > d.Mean || d.Interval.High < d.Mean {
			t.Errorf("seed %d, shift %g: difference %+v", seed, shift, d)
		}
	}
	base, v := pair(seed, 1, -1, 0)
	if r := compare(t, base, v).Variants[0]; r.Verdict != Unclear || !strings.Contains(r.Sentence, "too few") || !strings.Contains(r.Sentence, "over 1 sample,") {
		t.Errorf("one sample: %s, %s", r.Verdict, r.Sentence)
	}
}

// TestSentences: what did not change is said plainly, and what KL is by its name.
func TestSentences(t *testing.T) {
	base, v := pair(4, 8, 0, 0.1)
	for i := range base.Gaps {
		base.Gaps[i].Exact, v.Gaps[i].Exact = i < 3, i < 3
	}
	if got := compare(t, base, v).Variants[0].Sentence; !strings.Contains(got, "both fill 3 of 8 gaps exactly") || !strings.Contains(got, "KL divergence from the base 0.0500 nats per token") {
		t.Error(got)
	}
	for i := range base.Gaps {
		base.Gaps[i].Exact, v.Gaps[i].Exact = false, false
	}
	if got := compare(t, base, v).Variants[0].Sentence; !strings.Contains(got, "neither of the two fills any of 8 gaps exactly") {
		t.Error(got)
	}
}

func TestFigures(t *testing.T) {
	base, v := pair(5, 12, -0.5, 0)
	r := compare(t, base, v)
	got := r.Variants[0]
	if math.Abs(got.LossDifference.Mean+0.5) > 1e-9 || math.Abs(got.LossDifference.Interval.Low+0.5) > 1e-9 || math.Abs(got.LossDifference.Interval.High+0.5) > 1e-9 {
		t.Errorf("a constant difference: %+v", got.LossDifference)
	}
	if math.Abs(got.Loss-(r.Base.Loss-0.5)) > 1e-9 || math.Abs(got.Perplexity-math.Exp(got.Loss)) > 1e-9 || got.Better != 12 {
		t.Errorf("loss %g after %g, perplexity %g, %d better", got.Loss, r.Base.Loss, got.Perplexity, got.Better)
	}
	if got.Wins != 4 || got.Ties != 4 || got.Losses != 4 {
		t.Errorf("%d wins, %d ties, %d losses", got.Wins, got.Ties, got.Losses)
	}
	if r.Base.FIM.ExactMatch != 0.25 || got.FIM.ExactMatch != 0.5 || got.FIMExact.Mean != 0.25 || math.Abs(got.FIMSimilarity.Mean-0.1) > 1e-9 {
		t.Errorf("gaps: %+v, %+v, %+v", r.Base.FIM, got.FIM, got.FIMExact)
	}
	if l := got.FIM.Languages; len(l) != 2 || l[0].Name != "c" || l[0].Gaps != 6 || l[0].ExactMatch != 0 || l[1].ExactMatch != 1 {
		t.Errorf("languages: %+v", l)
	}
	if got.KL.Mean != 0.05 || *got.SameTop != 0.9 || math.Abs(got.General.Loss-got.GeneralLoss.Mean-3) > 1e-9 {
		t.Errorf("general: KL %+v, same %g, loss %+v", got.KL, *got.SameTop, got.GeneralLoss)
	}
	if len(r.Prompts) != 12 || r.Prompts[0].Answers[1].Against != Nearer || r.Prompts[2].Answers[1].Against != Farther {
		t.Errorf("prompts: %+v", r.Prompts[:3])
	}
}

func TestOtherSamplesAreRefused(t *testing.T) {
	base, v := pair(1, 5, 0, 1)
	v.Samples[3].Tokens++
	if _, err := Compare(base, []Measured{v}, options); err == nil || !strings.Contains(err.Error(), "data.jsonl:4") {
		t.Errorf("another sample: %v", err)
	}
	_, v = pair(1, 5, 0, 1)
	v.Gaps = v.Gaps[1:]
	if _, err := Compare(base, []Measured{v}, options); err == nil {
		t.Error("a gap less was taken")
	}
}

// TestNoNumbersAreRefused: a model with broken weights has no verdict.
func TestNoNumbersAreRefused(t *testing.T) {
	for _, spoil := range []func(base, v *Measured){
		func(_, v *Measured) { v.Samples[2].Nats = math.NaN() },
		func(base, _ *Measured) { base.Samples[2].Nats = math.Inf(1) },
		func(_, v *Measured) { v.Passages[1].KL = math.Inf(1) },
	} {
		base, v := pair(1, 5, 0, 1)
		spoil(&base, &v)
		if r, err := Compare(base, []Measured{v}, options); err == nil {
			t.Errorf("a verdict without numbers: %s", r.Variants[0].Sentence)
		}
	}
}

// TestBootstrapCovers draws many data sets of a known mean: the intervals must
// hold it about as often as they say. With 60 samples the percentile interval
// is a little narrow, hence the lower bounds.
func TestBootstrapCovers(t *testing.T) {
	const seed, sets, n, mean = 17, 400, 60, 0.3
	for level, bounds := range map[float64][2]float64{0.95: {0.91, 0.98}, 0.8: {0.74, 0.86}} {
		rng := rand.New(rand.NewPCG(seed, 0))
		held := 0
		for set := range sets {
			var r ratioOfSums
			for range n {
				weight := float64(1 + rng.IntN(30))
				r = r.add(weight*(mean+rng.NormFloat64()), weight)
			}
			in := r.bootstrap(Options{Seed: uint64(set), Resamples: 400, Level: level})
			if in.Low <= mean && mean <= in.High {
				held++
			}
		}
		share := float64(held) / sets
		t.Logf("intervals of %g hold the mean in %.4f of %d sets", level, share, sets)
		if share < bounds[0] || share > bounds[1] {
			t.Errorf("seed %d: intervals of %g hold the mean in %.3f of %d sets", seed, level, share, sets)
		}
	}
}

// TestBootstrapAgainstTheory: for the plain mean of many samples the interval
// is that of the normal distribution.
func TestBootstrapAgainstTheory(t *testing.T) {
	const seed, n = 23, 4000
	rng := rand.New(rand.NewPCG(seed, 0))
	var r ratioOfSums
	var sum, squares float64
	for range n {
		x := rng.ExpFloat64()
		r = r.add(x, 1)
		sum, squares = sum+x, squares+x*x
	}
	mean := sum / n
	half := 1.959964 * math.Sqrt((squares/n-mean*mean)/n)
	in := r.bootstrap(Options{Seed: 4, Resamples: 4000, Level: 0.95})
	if math.Abs(in.Low-(mean-half)) > 0.1*half || math.Abs(in.High-(mean+half)) > 0.1*half {
		t.Errorf("seed %d: %+v, want %g to %g", seed, in, mean-half, mean+half)
	}
}

func TestBootstrapIsSeeded(t *testing.T) {
	base, v := pair(2, 30, 0, 1)
	first, again := compare(t, base, v), compare(t, base, v)
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(again)
	if !bytes.Equal(a, b) {
		t.Error("equal figures and seeds gave unequal reports")
	}
	other := options
	other.Seed++
	r, err := Compare(base, []Measured{v}, other)
	if err != nil || *r.Variants[0].LossDifference.Interval == *first.Variants[0].LossDifference.Interval {
		t.Errorf("another seed gave the same interval (%v)", err)
	}
}

func TestQuantile(t *testing.T) {
	sorted := []float64{1, 2, 4}
	for q, want := range map[float64]float64{0: 1, 0.25: 1.5, 0.5: 2, 0.75: 3, 1: 4} {
		if got := quantile(sorted, q); got != want {
			t.Errorf("quantile %g is %g, want %g", q, got, want)
		}
	}
}

func TestPageStandsAlone(t *testing.T) {
	base, v := pair(9, 40, -0.1, 0.3)
	w := v
	w.Name = `evil"><img src=x>`
	r := compare(t, base, v, w)
	r.Model, r.Data = "m.gguf", []string{"a.jsonl", "<b>.jsonl"}
	r.Origin = Origin{Version: "v1.2.3", Made: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Command: "qlora test compare --lora 'a b'"}
	r.Variants[0].Path = "adapters/mine.gguf"
	for _, write := range []func(io.Writer) error{r.WriteHTML, r.WriteAnswersHTML} {
		var b bytes.Buffer
		if err := write(&b); err != nil {
			t.Fatal(err)
		}
		checkPage(t, b.String())
	}
	var b bytes.Buffer
	if err := r.WriteHTML(&b); err != nil || strings.Count(b.String(), "<svg") != 5 {
		t.Errorf("%d pictures, want 5 (%v)", strings.Count(b.String(), "<svg"), err)
	}
	for _, want := range []string{"v1.2.3, 2026-01-02 03:04 UTC", "<td>adapters/mine.gguf</td>", "qlora test compare --lora &#39;a b&#39;", `style="--columns:4"`, ">wins<", ">loses<", ">samples<"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if !strings.Contains(b.String(), "prefers-color-scheme:dark") || !strings.Contains(html.UnescapeString(b.String()), r.Variants[0].Sentence) {
		t.Error("no dark colours, or no verdict")
	}
}

// TestHistogramPartsAtZero: what is lower and what is not share no bar.
func TestHistogramPartsAtZero(t *testing.T) {
	h := newHistogram([]float64{-0.31, -0.001, 0, 0.002, 0.9})
	below, above := 0, 0
	for bin, n := range h.counts {
		if bin < 0 {
			below += n
		} else {
			above += n
		}
	}
	if a := h.axis(); below != 2 || above != 3 || a.low > -0.31 || a.high < 0.9 {
		t.Errorf("%d below and %d above zero, axis %+v", below, above, a)
	}
	if h := newHistogram([]float64{0, 0}); h.counts[0] != 2 || math.IsNaN(h.width) || h.width <= 0 {
		t.Errorf("equal losses: %+v", h)
	}
}

func TestAnswersPageWithoutAnswers(t *testing.T) {
	base, v := pair(9, 4, -0.1, 0.3)
	base.Answers, v.Answers = nil, nil
	var b bytes.Buffer
	if err := compare(t, base, v).WriteAnswersHTML(&b); err != nil || !strings.Contains(b.String(), "There are no answers") {
		t.Errorf("%v\n%s", err, b.String())
	}
}

// checkPage wants a page that loads nothing and in which data stays text.
func checkPage(t *testing.T, text string) {
	t.Helper()
	z := html.NewTokenizer(strings.NewReader(text))
	depth := map[string]int{}
	for {
		switch z.Next() {
		case html.ErrorToken:
			for _, name := range []string{"div", "table", "tr", "td", "svg", "p", "pre", "details"} {
				if depth[name] != 0 {
					t.Errorf("%d <%s> are not closed", depth[name], name)
				}
			}
			return
		case html.StartTagToken:
			token := z.Token()
			depth[token.Data]++
			if token.Data == "script" || token.Data == "img" || token.Data == "link" || token.Data == "b" {
				t.Errorf("the page has <%s>", token.Data)
			}
			for _, a := range token.Attr {
				if a.Key == "src" || a.Key == "href" || strings.HasPrefix(a.Key, "on") || strings.Contains(a.Val, "NaN") {
					t.Errorf("<%s %s=%q>", token.Data, a.Key, a.Val)
				}
			}
		case html.EndTagToken:
			depth[z.Token().Data]--
		}
	}
}
