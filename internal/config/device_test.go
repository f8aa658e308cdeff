package config

import "testing"

func TestParseDevice(t *testing.T) {
	for text, want := range map[string]Device{
		"auto": {DeviceAuto, -1}, "cpu": {DeviceCPU, -1}, "none": {DeviceCPU, -1}, "CUDA": {DeviceCUDA, -1},
		"cuda:0": {DeviceCUDA, 0}, "cuda:12": {DeviceCUDA, 12}, "3": {DeviceCUDA, 3}, "CUDA1": {DeviceCUDA, 1},
	} {
		if got, err := ParseDevice(text); got != want || err != nil {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "gpu", "cuda:", "cuda:-1", "-1", "cuda:x", "cuda:99999", "vulkan0", "0,1"} {
		if got, err := ParseDevice(text); err == nil {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}
