package llama

// #include "bridge.h"
import "C"

import (
	"fmt"
	"os"
	"strings"
	"sync"
)

// Level is the severity of a line in the log of libllama and ggml.
type Level int

// The levels, least severe first.
const (
	LevelDebug Level = C.QL_LOG_DEBUG
	LevelInfo  Level = C.QL_LOG_INFO
	LevelWarn  Level = C.QL_LOG_WARN
	LevelError Level = C.QL_LOG_ERROR
)

// logState is what the callback from C needs; C has one log for the process.
var logState struct {
	sync.Mutex
	emit    func(Level, string)
	partial string // a line that has not ended, of level within
	within  Level
	capture *[]string
}

// calls serialises the operations whose errors libllama only logs, so that a
// captured line belongs to the call that reports it.
var calls sync.Mutex

var initialise = sync.OnceFunc(func() {
	C.ql_log_install(C.QL_LOG_WARN)
	C.llama_backend_init()
})

// SetLog sends the lines of at least the level min, without their newline, to
// emit, which must not call into this package. A nil emit restores the
// default: warnings and errors on standard error. Errors of a call that returns an error
// are in that error, not in the log.
func SetLog(min Level, emit func(level Level, line string)) {
	initialise()
	logState.Lock()
	logState.emit = emit
	logState.Unlock()
	if emit == nil {
		min = LevelWarn
	}
	C.ql_log_install(C.int(min))
}

//export qloraLlamaLog
func qloraLlamaLog(level C.int, text *C.char) {
	logState.Lock()
	defer logState.Unlock()
	// An error in the middle of a line is a line of its own.
	if Level(level) == LevelError && logState.within < LevelError && logState.partial != "" {
		emitLine(logState.within, logState.partial)
		logState.partial = ""
	}
	logState.within = Level(level)
	logState.partial += C.GoString(text)
	for {
		line, rest, ok := strings.Cut(logState.partial, "\n")
		if !ok {
			return
		}
		logState.partial = rest
		if strings.TrimSpace(line) != "" {
			emitLine(Level(level), line)
		}
	}
}

func emitLine(level Level, line string) {
	switch {
	case level >= LevelError && logState.capture != nil:
		*logState.capture = append(*logState.capture, line)
	case logState.emit != nil:
		logState.emit(level, line)
	case level >= LevelWarn:
		fmt.Fprintln(os.Stderr, line)
	}
}

// capturing runs call and returns the error lines that it logged.
func capturing(call func()) []string {
	initialise()
	calls.Lock()
	defer calls.Unlock()
	var lines []string
	setCapture(&lines)
	defer setCapture(nil)
	call()
	return lines
}

func setCapture(lines *[]string) {
	logState.Lock()
	defer logState.Unlock()
	logState.capture = lines
}
