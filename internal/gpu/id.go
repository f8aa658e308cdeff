package gpu

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/NVIDIA/go-nvml/pkg/nvml"
)

// ID names one device in any of three ways: its UUID ("GPU-..." or "MIG-..."),
// its PCI bus id as CUDA ("0000:1B:00.0") or NVML ("00000000:1B:00.0") writes
// it, or its index in the driver's order ("0"). CUDA counts devices in an order
// of its own, by default the fastest first, so an index of CUDA's is none.
type ID string

// Find reads the state of the device that id names.
func (n *NVML) Find(id ID) (Device, error) {
	handle, err := n.handle(id)
	if err != nil {
		return Device{}, err
	}
	d, err := readDevice(handle)
	if err != nil {
		return d, fmt.Errorf("read GPU %s: %w", id, err)
	}
	var ret nvml.Return
	if d.Index, ret = handle.GetIndex(); ret != nvml.SUCCESS {
		return d, fmt.Errorf("read the index of GPU %s: %w", id, ret)
	}
	if d.DriverVersion, ret = n.lib.SystemGetDriverVersion(); ret != nvml.SUCCESS {
		return d, fmt.Errorf("read the driver's version: %w", ret)
	}
	return d, nil
}

func (n *NVML) handle(id ID) (nvml.Device, error) {
	var handle nvml.Device
	var ret nvml.Return
	if index, err := strconv.Atoi(string(id)); err == nil {
		handle, ret = n.lib.DeviceGetHandleByIndex(index)
	} else if bus, ok := canonicalBusID(string(id)); ok {
		return n.handleByBusID(bus)
	} else {
		handle, ret = n.lib.DeviceGetHandleByUUID(string(id))
	}
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("find GPU %s: %w", id, ret)
	}
	return handle, nil
}

// handleByBusID compares with every device, so that nothing rests on which
// spellings a driver's own search takes. A device that cannot be opened is
// passed over: another may be the one.
func (n *NVML) handleByBusID(bus string) (nvml.Device, error) {
	count, ret := n.lib.DeviceGetCount()
	if ret != nvml.SUCCESS {
		return nil, fmt.Errorf("count GPUs: %w", ret)
	}
	for i := range count {
		handle, ret := n.lib.DeviceGetHandleByIndex(i)
		if ret != nvml.SUCCESS {
			continue
		}
		if found, ok := canonicalBusID(busIDOf(handle)); ok && found == bus {
			return handle, nil
		}
	}
	return nil, fmt.Errorf("find GPU %s: %w", bus, nvml.ERROR_NOT_FOUND)
}

// busIDOf is the bus id as the driver writes it, empty where it does not tell.
func busIDOf(handle nvml.Device) string {
	pci, ret := handle.GetPciInfo()
	if ret != nvml.SUCCESS {
		return ""
	}
	text, _, _ := bytes.Cut(pci.BusId[:], []byte{0})
	return string(text)
}

// busIDForm is domain:bus:device.function in hexadecimal digits.
var busIDForm = regexp.MustCompile(`^([0-9A-F]{4,8})(:[0-9A-F]{2}:[0-9A-F]{2}\.[0-7])$`)

// canonicalBusID is text in upper case with a domain of eight digits.
func canonicalBusID(text string) (string, bool) {
	parts := busIDForm.FindStringSubmatch(strings.ToUpper(text))
	if parts == nil {
		return "", false
	}
	return strings.Repeat("0", 8-len(parts[1])) + parts[1] + parts[2], true
}
