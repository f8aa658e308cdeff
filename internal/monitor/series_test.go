package monitor

import (
	"math"
	"math/rand/v2"
	"testing"
)

// everything is a view of a whole run.
func everything(buckets int) view {
	return view{axis: ByStep, from: math.Inf(-1), to: math.Inf(1), buckets: buckets}
}

// noise returns a table of n rows with gaps in the loss, steps at uneven
// distances.
func noise(rnd *rand.Rand, n int) *table {
	t := newTable()
	step := 0.0
	for range n {
		step += 1 + math.Floor(rnd.Float64()*3)
		r := emptyRow()
		r.step = step
		if rnd.IntN(10) > 0 {
			r.values[Loss] = rnd.NormFloat64()
		}
		t.add(r)
	}
	return t
}

// TestSeriesKeepsShape holds the reduced line to what it promises, for any
// table and view.
func TestSeriesKeepsShape(t *testing.T) {
	const seed = 7
	rnd := rand.New(rand.NewPCG(seed, 0))
	for trial := range 300 {
		table := noise(rnd, 1+rnd.IntN(3000))
		last := table.steps[table.rows()-1]
		v := everything(10 + rnd.IntN(200))
		if trial%2 == 0 {
			v.from = rnd.Float64() * last
			v.to = v.from + rnd.Float64()*last/4
		}
		got := table.series(Loss, v)
		checkSeries(t, table, v, got)
		if t.Failed() {
			t.Fatalf("seed %d, trial %d, view %+v", seed, trial, v)
		}
	}
}

func checkSeries(t *testing.T, table *table, v view, got []point) {
	t.Helper()
	if len(got) > 2*v.buckets+8 {
		t.Errorf("%d points for %d buckets", len(got), v.buckets)
	}
	figure := map[float64]float32{}
	low, high, inside, rows := float32(math.Inf(1)), float32(math.Inf(-1)), 0, 0
	for i, x := range table.steps {
		y := table.columns[Loss][i]
		if x >= v.from && x <= v.to {
			rows++
		}
		if y != y {
			continue
		}
		figure[x] = y
		if x >= v.from && x <= v.to {
			low, high, inside = min(low, y), max(high, y), inside+1
		}
	}
	gotLow, gotHigh, gotInside := float32(math.Inf(1)), float32(math.Inf(-1)), 0
	for i, p := range got {
		if y, there := figure[p.x]; !there || y != p.y {
			t.Errorf("point %v is none of the run", p)
		}
		if i > 0 && p.x <= got[i-1].x {
			t.Errorf("x does not ascend at %v", p)
		}
		if p.x >= v.from && p.x <= v.to {
			gotLow, gotHigh, gotInside = min(gotLow, p.y), max(gotHigh, p.y), gotInside+1
		}
	}
	if inside > 0 && (gotLow != low || gotHigh != high) {
		t.Errorf("from %v to %v, want %v to %v: a spike is lost", gotLow, gotHigh, low, high)
	}
	if rows <= 2*v.buckets-10 && gotInside != inside {
		t.Errorf("%d of %d points, though all fit", gotInside, inside)
	}
}

func TestSeriesReachesBeyondTheView(t *testing.T) {
	table := filled(t, `{"step":1,"loss":1}`, `{"step":2,"loss":2}`, `{"step":3}`, `{"step":9,"loss":9}`, `{"step":10,"loss":10}`)
	v := everything(100)
	v.from, v.to = 4, 8
	got := table.series(Loss, v)
	if len(got) != 2 || got[0].x != 2 || got[1].x != 9 {
		t.Errorf("got %v, want the neighbours 2 and 9, or no line crosses the view", got)
	}
}

func TestSeriesKeepsTheEnds(t *testing.T) {
	table := newTable()
	for step := range 10_000 {
		r := emptyRow()
		r.step, r.values[Loss] = float64(step), math.Abs(float64(step-5000))
		table.add(r)
	}
	got := table.series(Loss, everything(20))
	if got[0].x != 0 || got[len(got)-1].x != 9999 {
		t.Errorf("from %v to %v", got[0].x, got[len(got)-1].x)
	}
}

// TestSmoothingIsOfAllRows compares with the average over every row: what is
// left out of the answer, or lies before the view, counts too.
func TestSmoothingIsOfAllRows(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 0))
	table := noise(rnd, 5000)
	const weight = 0.9
	want := map[float64]float64{}
	sum, norm := 0.0, 0.0
	for i, x := range table.steps {
		if y := table.columns[Loss][i]; y == y {
			sum, norm = weight*sum+(1-weight)*float64(y), weight*norm+(1-weight)
			want[x] = sum / norm
		}
	}
	v := everything(50)
	v.from, v.smooth = 3000, weight
	got := table.series(Loss, v)
	if len(got) < 50 {
		t.Fatalf("%d points", len(got))
	}
	for _, p := range got {
		if math.Abs(float64(p.smooth)-want[p.x]) > 1e-5 {
			t.Errorf("at %v: %v, want %v", p.x, p.smooth, want[p.x])
		}
	}
}

func TestFewFiguresAreNotSmoothed(t *testing.T) {
	table := filled(t, `{"step":1,"eval_loss":3}`, `{"step":2,"eval_loss":1}`)
	v := everything(10)
	v.smooth = 0.9
	for _, p := range table.series(EvalLoss, v) {
		if p.smooth == p.smooth {
			t.Errorf("an evaluation of %v shows as %v", p.y, p.smooth)
		}
	}
}
