package runlog

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func noBadLine(t *testing.T) func(BadLine) {
	return func(bad BadLine) { t.Errorf("a line is said to be bad: %v", bad) }
}

const damaged = "{\"step\":1}\n\ngarbage\n{\"step\":2,\"lo{\"step\":3}\n{\"step\":4}\n{\"st"

// salvage reads what Salvage reads, as steps and as numbers of bad lines.
func salvage(t *testing.T, dir string) (good, bad []int) {
	t.Helper()
	all, err := Salvage(dir, func(b BadLine) {
		bad = append(bad, b.Line)
		if b.Path != filepath.Join(dir, MetricsFile) {
			t.Errorf("%s is not the file", b.Path)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return steps(all), bad
}

func TestSalvageGoesOnAfterABadLine(t *testing.T) {
	for state, want := range map[State][]int{Running: {3, 4}, Finished: {3, 4, 6}, Killed: {3, 4, 6}} {
		dir := t.TempDir()
		r, err := Create(dir)
		if err != nil {
			t.Fatal(err)
		}
		appendText(t, filepath.Join(dir, MetricsFile), damaged)
		if state == Killed {
			r.status.PID = 1 << 30 // above any pid_max: a process that cannot exist
			err = r.writeStatus()
		} else {
			err = r.Close(state, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if good, bad := salvage(t, dir); !reflect.DeepEqual(good, []int{1, 4}) || !reflect.DeepEqual(bad, want) {
			t.Errorf("%s: steps %v and bad lines %v, want 1 and 4, and %v", state, good, bad, want)
		}
	}
}

// A run that nobody knows to have ended may still be writing its last line.
func TestSalvageOfAnUnknownRun(t *testing.T) {
	dir := t.TempDir()
	appendText(t, filepath.Join(dir, MetricsFile), damaged)
	if _, bad := salvage(t, dir); !reflect.DeepEqual(bad, []int{3, 4}) {
		t.Errorf("bad lines %v, want 3 and 4", bad)
	}
}

func TestFollowGoesOnAfterABadLine(t *testing.T) {
	dir := t.TempDir()
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	appendText(t, filepath.Join(dir, MetricsFile), damaged)
	var got, bad []int
	err = Follow(context.Background(), dir, func(m Metrics) error {
		got = append(got, m.Step)
		if m.Step == 4 {
			return r.Close(Failed, nil)
		}
		return nil
	}, func(b BadLine) { bad = append(bad, b.Line) })
	if err != nil || !reflect.DeepEqual(got, []int{1, 4}) || !reflect.DeepEqual(bad, []int{3, 4, 6}) {
		t.Errorf("steps %v, bad lines %v, %v", got, bad, err)
	}
}

func TestBadLinesSayWhatIsWrong(t *testing.T) {
	for line, want := range map[string]string{
		`{"step":1`: ErrNotJSON.Error(), "\x00\x00": ErrNotJSON.Error(), `[1]`: ErrNotReport.Error(), `null`: ErrNotReport.Error(),
		`{}`: ErrNotReport.Error(), `{"step":-1}`: ErrNotReport.Error(), `{"step":1.5}`: "step: unexpected number 1.5",
		`{"step":1,"loss":"low"}`: "loss: unexpected string",
	} {
		_, err := parseLine([]byte(line))
		if err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
	text := BadLine{"m", 7, ErrTorn}.Error()
	if !strings.HasPrefix(text, "m:7: cut off") || !errors.Is(fmt.Errorf("x: %w", BadLine{"m", 7, ErrTorn}), ErrTorn) {
		t.Errorf("got %s", text)
	}
}
