package cli_test

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/qlora/qlora/internal/llama/llamatest"
)

// TestInferenceScripts runs testdata/inference/*.txtar, which use models. The
// folder of each script holds
//
//	chat.gguf     a tiny random model with a chat template and FIM tokens
//	plain.gguf    one without either
//	wide.gguf     one whose widths are multiples of 256
//	lora.gguf     an adapter for the first two
//	other.gguf    an adapter for another architecture
//	integer.gguf  an adapter whose alpha has the wrong type
//	cut.gguf      the first half of chat.gguf
func TestInferenceScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/inference",
		Setup: func(env *testscript.Env) error { return writeModels(t, env.WorkDir) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code":      runForCode,
			"jsonlines": checkJSONLines,
		},
	})
}

func writeModels(t *testing.T, dir string) error {
	chat := llamatest.Options{Seed: 1, ChatTemplate: llamatest.ChatML}
	in := func(name string) string { return filepath.Join(dir, name) }
	llamatest.Model(t, in("chat.gguf"), chat)
	llamatest.Model(t, in("plain.gguf"), llamatest.Options{Seed: 1, NoFIM: true})
	llamatest.Model(t, in("wide.gguf"), llamatest.Options{Seed: 1, Embd: 256, Layers: 1})
	llamatest.Adapter(t, in("lora.gguf"), chat, llamatest.AdapterOptions{Seed: 3})
	llamatest.Adapter(t, in("other.gguf"), chat, llamatest.AdapterOptions{Arch: "qwen2"})
	llamatest.Adapter(t, in("integer.gguf"), chat, llamatest.AdapterOptions{IntegerAlpha: true})
	llamatest.Cut(t, in("chat.gguf"), in("cut.gguf"), 0.5)
	return nil
}
