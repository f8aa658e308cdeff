package monitor

import (
	"fmt"
	"math"
	"reflect"
	"testing"
)

// filled returns a table of lines.
func filled(t *testing.T, lines ...string) *table {
	t.Helper()
	table := newTable()
	for _, line := range lines {
		r, err := parseRow(line)
		if err != nil {
			t.Fatal(err)
		}
		table.add(r)
	}
	return table
}

// figures lists a column with its gaps as "-".
func figures(column []float32) (all []string) {
	for _, v := range column {
		if v != v {
			all = append(all, "-")
		} else {
			all = append(all, fmt.Sprint(v))
		}
	}
	return all
}

func TestEvaluationJoinsItsReport(t *testing.T) {
	table := filled(t, `{"step":0,"loss":null,"eval_loss":3}`, `{"step":1,"loss":2}`, `{"step":2,"loss":1.5}`, `{"step":2,"loss":1.5,"eval_loss":1.75}`)
	if got, want := figures(table.columns[Loss]), []string{"-", "2", "1.5"}; !reflect.DeepEqual(got, want) {
		t.Errorf("loss %v, want %v", got, want)
	}
	if got, want := figures(table.columns[EvalLoss]), []string{"3", "-", "1.75"}; !reflect.DeepEqual(got, want) {
		t.Errorf("eval loss %v, want %v", got, want)
	}
	if table.best != 1.75 || table.bestStep != 2 {
		t.Errorf("best %v at %v, want 1.75 at 2", table.best, table.bestStep)
	}
	if table.columns[GPUMemory] != nil {
		t.Error("a column without a figure takes memory")
	}
}

// A resume that appends to the file runs steps again that are there already.
func TestAnEarlierStepDropsTheLaterOnes(t *testing.T) {
	table := filled(t, `{"step":1,"loss":4,"eval_loss":4}`, `{"step":2,"loss":3}`, `{"step":3,"loss":2,"eval_loss":1}`, `{"step":2,"loss":5}`)
	if want := []float64{1, 2}; !reflect.DeepEqual(table.steps, want) {
		t.Errorf("steps %v, want %v", table.steps, want)
	}
	if got, want := figures(table.columns[Loss]), []string{"4", "5"}; !reflect.DeepEqual(got, want) {
		t.Errorf("loss %v, want %v", got, want)
	}
	if table.best != 4 || table.bestStep != 1 || table.newest[EvalLoss] != 4 {
		t.Errorf("best %v at %v, newest %v: those of the dropped step must go", table.best, table.bestStep, table.newest[EvalLoss])
	}
}

func TestEveryAxisAscends(t *testing.T) {
	table := filled(t, `{"step":1,"loss":1,"trained_tokens":10,"time":"2026-01-01T00:00:10Z"}`,
		`{"step":2,"loss":1,"trained_tokens":5,"time":"2026-01-01T00:00:05Z"}`, `{"step":3,"loss":1}`,
		`{"step":4,"loss":1,"trained_tokens":20,"time":"2026-01-01T00:00:20Z"}`)
	for axis, want := range map[Axis][]float64{ByStep: {1, 2, 3, 4}, ByTokens: {10, 10, 10, 20}, ByTime: {0, 0, 0, 10}} {
		var got []float64
		for _, x := range table.x(axis) {
			got = append(got, x-table.origin(axis))
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", axis, got, want)
		}
	}
}

func TestFiguresBeyond32BitsStayFinite(t *testing.T) {
	table := filled(t, `{"step":1,"loss":1e300}`, `{"step":2,"loss":-1e300}`)
	if got := table.columns[Loss]; got[0] != math.MaxFloat32 || got[1] != -math.MaxFloat32 {
		t.Errorf("got %v", got)
	}
	if table.newest[Loss] != -1e300 {
		t.Errorf("what is printed lost its value: %v", table.newest[Loss])
	}
}
