package ggml

// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// Log levels of ggml messages.
const (
	LogDebug = 1
	LogInfo  = 2
	LogWarn  = 3
	LogError = 4
)

var logSink atomic.Pointer[func(level int, text string)]

// SetLog sends ggml's messages, the last words before an abort included, to sink; with
// nil, errors go to standard error and the rest nowhere.
func SetLog(sink func(level int, text string)) {
	if sink == nil {
		logSink.Store(nil)
	} else {
		logSink.Store(&sink)
	}
	C.qlora_install_log()
}

//export qloraGGMLLog
func qloraGGMLLog(level C.int32_t, text *C.char) {
	if text == nil {
		return
	}
	line := strings.TrimRight(C.GoString(text), "\n")
	switch sink := logSink.Load(); {
	case line == "":
	case sink != nil:
		(*sink)(int(level), line)
	case level == LogError:
		fmt.Fprintln(os.Stderr, line)
	}
}
