package cli

import (
	"debug/elf"
	"os"
	"runtime"
	"strings"
	"testing"
)

// The NVML binding tells the linker to accept symbols that nobody defines,
// since it finds its own at run time. Any other would end the process when it
// is called, instead of the build.
func TestNoSymbolIsMissing(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads ELF files")
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	nvml := 0
	for _, s := range symbols {
		switch missing := s.Section == elf.SHN_UNDEF && s.Version == "" && elf.ST_BIND(s.Info) == elf.STB_GLOBAL; {
		case missing && strings.HasPrefix(s.Name, "nvml"):
			nvml++
		case missing:
			t.Errorf("nothing defines %s", s.Name)
		}
	}
	if nvml == 0 {
		t.Error("no symbol of NVML is open: this test looks at the wrong ones")
	}
}
