package llama

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"unsafe"
)

// fileTypes maps the names that llama.cpp's users know to its file types.
var fileTypes = map[string]C.int32_t{
	"f32": C.QL_FTYPE_F32, "f16": C.QL_FTYPE_F16, "bf16": C.QL_FTYPE_BF16,
	"q4_0": C.QL_FTYPE_Q4_0, "q4_1": C.QL_FTYPE_Q4_1,
	"q5_0": C.QL_FTYPE_Q5_0, "q5_1": C.QL_FTYPE_Q5_1, "q8_0": C.QL_FTYPE_Q8_0,
	"q2_k": C.QL_FTYPE_Q2_K, "q2_k_s": C.QL_FTYPE_Q2_K_S,
	"q3_k_s": C.QL_FTYPE_Q3_K_S, "q3_k_m": C.QL_FTYPE_Q3_K_M, "q3_k_l": C.QL_FTYPE_Q3_K_L,
	"q4_k_s": C.QL_FTYPE_Q4_K_S, "q4_k_m": C.QL_FTYPE_Q4_K_M,
	"q5_k_s": C.QL_FTYPE_Q5_K_S, "q5_k_m": C.QL_FTYPE_Q5_K_M, "q6_k": C.QL_FTYPE_Q6_K,
	"iq4_nl": C.QL_FTYPE_IQ4_NL, "iq4_xs": C.QL_FTYPE_IQ4_XS,
}

// QuantizeTypes lists the names that Quantize accepts, sorted.
func QuantizeTypes() []string {
	names := make([]string, 0, len(fileTypes))
	for name := range fileTypes {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// QuantizeOptions says what Quantize writes.
type QuantizeOptions struct {
	Type       string // one of QuantizeTypes, in any case
	Threads    int    // [all processors]
	Pure       bool   // the same type for every matrix, no mixture
	KeepOutput bool   // leave output.weight as it is
	Requantize bool   // accept an input that is quantised already
}

// Quantize writes the model in as out with its matrices in another type, by
// llama.cpp's own choice of type for each. It writes a temporary file beside
// out and renames it when it is whole.
func Quantize(in, out string, o QuantizeOptions) error {
	ftype, ok := fileTypes[strings.ToLower(o.Type)]
	if !ok {
		return fmt.Errorf("quantise: unknown type %q (one of %s)", o.Type, strings.Join(QuantizeTypes(), ", "))
	}
	if err := checkFile(in); err != nil {
		return fmt.Errorf("quantise: %w", err)
	}
	same, err := sameFile(in, out)
	if err != nil {
		return fmt.Errorf("quantise %s to %s: %w", in, out, err)
	}
	if same {
		return fmt.Errorf("quantise %s: %w", in, ErrSameFile)
	}
	params := quantizeParams(ftype, o)
	temp, err := tempBeside(out)
	if err != nil {
		return fmt.Errorf("quantise to %s: %w", out, err)
	}
	defer os.Remove(temp)
	if err := quantizeInto(in, temp, &params); err != nil {
		return err
	}
	return publish(temp, out)
}

func quantizeParams(ftype C.int32_t, o QuantizeOptions) C.struct_llama_model_quantize_params {
	p := C.llama_model_quantize_default_params()
	p.ftype = ftype
	p.nthread = C.int32_t(o.Threads)
	if o.Threads <= 0 {
		p.nthread = C.int32_t(runtime.NumCPU())
	}
	p.pure = C.bool(o.Pure)
	p.quantize_output_tensor = C.bool(!o.KeepOutput)
	p.allow_requantize = C.bool(o.Requantize)
	return p
}

func quantizeInto(in, temp string, params *C.struct_llama_model_quantize_params) error {
	cin, ctemp := C.CString(in), C.CString(temp)
	defer C.free(unsafe.Pointer(cin))
	defer C.free(unsafe.Pointer(ctemp))
	var rc C.int32_t
	lines := capturing(func() { rc = C.ql_quantize(cin, ctemp, params) })
	if rc != 0 {
		return fmt.Errorf("quantise: %w", &FileError{Path: in, Reason: reason(lines, "libllama failed")})
	}
	return nil
}

// sameFile tells whether both names are one file; a missing out is not. An out
// that is no regular file is an error.
func sameFile(in, out string) (bool, error) {
	a, err := os.Stat(in)
	if err != nil {
		return false, err
	}
	b, err := os.Stat(out)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err == nil && !b.Mode().IsRegular() {
		return false, fmt.Errorf("%s exists and is not a regular file", out) // a rename would destroy a device
	}
	return err == nil && os.SameFile(a, b), err
}

// tempBeside creates an empty file in the folder of path.
func tempBeside(path string) (string, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".tmp-*")
	if err != nil {
		return "", err
	}
	return f.Name(), f.Close()
}

// publish makes temp durable and gives it its final name.
func publish(temp, out string) error {
	f, err := os.Open(temp)
	if err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	err = f.Sync()
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(temp, 0o644)
	}
	if err == nil {
		err = os.Rename(temp, out)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", out, err)
	}
	return nil
}
