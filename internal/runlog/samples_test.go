package runlog

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

func TestSamples(t *testing.T) {
	dir := t.TempDir()
	if all, err := ReadSamples(dir); err != nil || len(all) != 0 {
		t.Errorf("a run without samples: %v, %v", all, err)
	}
	r, err := Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(r.WriteSample(Sample{Step: 2, Prompt: "a\nb", Text: "<c>"}), r.WriteSample(Sample{Step: 4, Prompt: "d"}), r.Close(Interrupted, nil))
	if err != nil {
		t.Fatal(err)
	}
	appendText(t, filepath.Join(dir, SamplesFile), `{"step":6,"te`) // cut by a kill
	all, err := ReadSamples(dir)
	if err != nil || len(all) != 2 || all[0].Prompt != "a\nb" || all[0].Text != "<c>" {
		t.Fatalf("got %+v, %v", all, err)
	}
	// A resume makes those of later steps again.
	r, err = Continue(dir, 2)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(r.WriteSample(Sample{Step: 4, Prompt: "e"}), r.Close(Finished, nil)); err != nil {
		t.Fatal(err)
	}
	all, err = ReadSamples(dir)
	if err != nil || len(all) != 2 || all[0].Step != 2 || all[1].Prompt != "e" {
		t.Errorf("got %+v, %v", all, err)
	}
	appendText(t, filepath.Join(dir, SamplesFile), "nonsense\n")
	if _, err := ReadSamples(dir); err == nil || !strings.Contains(err.Error(), SamplesFile+":3: ") {
		t.Errorf("got %v", err)
	}
}
