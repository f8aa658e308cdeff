package config

import (
	"errors"
	"testing"
)

func TestParseBudget(t *testing.T) {
	for text, want := range map[string]Budget{
		"": {}, "11GiB": {Bytes: 11 << 30}, "24G": {Bytes: 24e9}, "512 MiB": {Bytes: 512 << 20}, "80%": {Share: 0.8}, "12.5 %": {Share: 0.125}, "100%": {Share: 1},
	} {
		got, err := ParseBudget("vram-budget", text)
		if err != nil || got != want || got.Open() != (text == "") {
			t.Errorf("%q: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"0", "much", "-1GiB", "0%", "101%", "%", "nan%", "1e30GiB"} {
		if got, err := ParseBudget("vram-budget", text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
	if got := (Budget{Share: 0.5}).Of(8 << 30); got != 4<<30 {
		t.Errorf("half of 8 GiB is %d", got)
	}
	if got := (Budget{Bytes: 5}).Of(8 << 30); got != 5 {
		t.Errorf("5 bytes of 8 GiB are %d", got)
	}
}

func TestBudgetNeedsAGPU(t *testing.T) {
	r := DefaultRun()
	r.Model, r.Data, r.VRAMBudget = "m.gguf", []string{"d.jsonl"}, "11GiB"
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	onCPU, noLayers, wrong := r, r, r
	onCPU.Device, noLayers.NGPULayers, wrong.VRAMBudget = "cpu", 0, "much"
	for _, bad := range []Run{onCPU, noLayers} {
		if err := bad.Check(); !errors.Is(err, ErrBudgetOnCPU) {
			t.Errorf("device %s, %d layers: %v", bad.Device, bad.NGPULayers, err)
		}
	}
	if err := wrong.Check(); err == nil {
		t.Error("a budget of \"much\" was accepted")
	}
}
