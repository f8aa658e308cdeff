package runlog

// GPU is one device's part of a report: its newest sample. A number that the
// device does not tell is nil, and null in the file.
type GPU struct {
	Index          int      `json:"index"` // in the driver's order
	UUID           string   `json:"uuid"`
	MemBytes       *uint64  `json:"gpu_mem_bytes"`                    // in use on the device
	ProcessBytes   *uint64  `json:"gpu_mem_process_bytes"`            // of them this process's
	ProcessSource  string   `json:"gpu_mem_process_source,omitempty"` // how that is known: "process" or "growth"
	Utilisation    *int     `json:"gpu_util_percent"`
	MemUtilisation *int     `json:"gpu_mem_util_percent"`
	PowerW         *float64 `json:"gpu_power_watts"`
	TemperatureC   *int     `json:"gpu_temp_celsius"`
}
