package chatlog

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/prep/shard"
)

// Cleaner removes secrets from text and counts what it found by rule. It is
// safe for concurrent use.
type Cleaner interface {
	Clean(text string, counts map[string]int) string
}

// Tokenizer is the vocabulary that windows are measured with, safe for
// concurrent use. Encode adds no tokens of its own.
type Tokenizer interface {
	Encode(text string, parseSpecial bool) ([]int32, error)
}

// Options say what to convert and how. The zero value of an option is its
// plainest: everything is kept, nothing added.
type Options struct {
	Sources     []string          // folders that are searched, or files
	Out         string            // file to write
	Format      Format            // "": FormatMessages
	Sidechains  bool              // sub-agents' sessions become conversations of their own
	Summaries   bool              // a compaction's summary opens the conversation after it
	Thinking    Thinking          // "": ThinkingDrop
	ResultLimit int               // bytes kept of a tool result; 0: all
	ToolArgs    ToolArgs          // "": ArgsObject
	SplitCalls  bool              // parallel calls become one after the other
	NoTools     bool              // conversations declare no tools
	Tools       []json.RawMessage // of every conversation, from ParseTools; nil: those of the input
	System      string            // system message for every conversation; "": that of the input
	Window      int               // tokens of a conversation at most; 0: no limit
	Tokenizer   Tokenizer         `json:"-"` // nil: tokens are estimated, see EstimatedBytes
	TokenizerID string            // names the vocabulary of Tokenizer; part of a run's identity
	Cleaner     Cleaner           `json:"-"` // nil: secrets stay
	CleanerID   string            // names what Cleaner finds and writes; part of a run's identity
	RedactRules string            `json:"-"` // names the rules of this build's cleaners
	DropSecrets bool              // leave out conversations in which Cleaner finds something
	Strict      bool              // the first thing that cannot be read is an error
	Workers     int               // files read at once; 0: one for each core
	Shard       shard.Spec        // part of the work
	Total       func(int64)       `json:"-"` // told the bytes to come, before the first is read; may be nil
	Progress    func(int64)       `json:"-"` // told the bytes that were read; may be nil
}

// Format is a shape of records.
type Format string

// The shapes that can be written.
const (
	FormatMessages   Format = "messages"          // messages, tools; what chat templates take
	FormatShareGPT   Format = "sharegpt"          // conversations of from and value
	FormatAlpaca     Format = "alpaca"            // instruction, output, history
	FormatCompletion Format = "prompt-completion" // a record for each reply
)

// Thinking says what becomes of the model's thinking.
type Thinking string

// What can be done with thinking.
const (
	ThinkingDrop  Thinking = "drop"
	ThinkingField Thinking = "field" // reasoning_content beside content
	ThinkingTags  Thinking = "tags"  // <think> at the beginning of content
)

// ToolArgs is how the arguments of calls are written.
type ToolArgs string

// How arguments can be written.
const (
	ArgsObject ToolArgs = "object" // what chat templates take
	ArgsString ToolArgs = "string" // the object's text, what OpenAI's API takes
)

// Choices of the options that are words, for messages about wrong ones.
var (
	Formats   = []Format{FormatMessages, FormatShareGPT, FormatAlpaca, FormatCompletion}
	Thinkings = []Thinking{ThinkingDrop, ThinkingField, ThinkingTags}
	ToolArgss = []ToolArgs{ArgsObject, ArgsString}
)

// Choose finds text among choices; the error names the flag and lists them.
func Choose[T ~string](flag, text string, choices []T) (T, error) {
	if slices.Contains(choices, T(text)) {
		return T(text), nil
	}
	var names []string
	for _, c := range choices {
		names = append(names, string(c))
	}
	return "", fmt.Errorf("--%s is %q, want one of %s", flag, text, strings.Join(names, ", "))
}

// withDefaults fills in what is left open.
func (o Options) withDefaults() Options {
	if o.Format == "" {
		o.Format = FormatMessages
	}
	if o.Thinking == "" {
		o.Thinking = ThinkingDrop
	}
	if o.ToolArgs == "" {
		o.ToolArgs = ArgsObject
	}
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	return o
}

// rulesVersion counts the changes to what is made of equal logs with equal
// options; TestRulesVersion tells when it must rise.
const rulesVersion = 2

// rules names what this build makes of logs, so that only parts of builds that
// agree are joined.
func (o Options) rules() string { return fmt.Sprintf("logs2sft %d, %s", rulesVersion, o.RedactRules) }

// identity hashes what decides what is written, so that only parts of one run
// are joined: the options that JSON shows, and the names and sizes of the
// input's files. Where they lie plays no part.
func (o Options) identity(in *inputs) (string, error) {
	type file struct {
		Name string
		Size int64
	}
	var files []file
	for _, src := range in.sources {
		files = append(files, file{src.name, src.size})
		for _, reply := range src.replies {
			files = append(files, file{reply.name, reply.size})
		}
	}
	o.Sources, o.Out, o.Workers, o.Shard = nil, "", 0, shard.Spec{}
	return shard.OptionsHash(struct {
		Options
		Files []file
	}{o, files})
}
