package ggml

// #include "bridge.h"
import "C"

import (
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

// SetLog sends ggml's messages, the last words before an abort included, to sink; nil silences them.
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
	sink := logSink.Load()
	if sink == nil || text == nil {
		return
	}
	if s := strings.TrimRight(C.GoString(text), "\n"); s != "" {
		(*sink)(int(level), s)
	}
}
