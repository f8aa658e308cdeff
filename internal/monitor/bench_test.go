package monitor

import "testing"

func BenchmarkParseRow(b *testing.B) {
	line := `{"step":1,"total_steps":100000,"epoch":0.00003,"trained_tokens":1890,"rss_bytes":2100500000,"vram_bytes":9200000000,"gpus":[{"index":0,"uuid":"GPU-0","gpu_mem_bytes":10500000000,"gpu_mem_process_bytes":9200000000,"gpu_util_percent":95,"gpu_mem_util_percent":55,"gpu_power_watts":241.23456789,"gpu_temp_celsius":71}],"time":"2026-06-01T00:00:00.700Z","loss":3.412345678912345,"grad_norm":3.512345678912345,"learning_rate":0.00019999999995,"tokens_per_second":2612.12345678912,"eta_seconds":69999.3}`
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := parseRow(line); err != nil {
			b.Fatal(err)
		}
	}
}
