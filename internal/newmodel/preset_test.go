package newmodel

import (
	"strings"
	"testing"

	"github.com/qlora/qlora/internal/gguf"
)

func TestPresets(t *testing.T) {
	parameters := map[string]int64{ // as published with the models
		"qwen2.5-0.5b": 494032768, "1.5B": 1543714304, "3b": 3085938688, "Qwen2.5-7B": 7615616512,
		"14b": 14770033664, "32b": 32763876352, "llama3-8b": 8030261248,
	}
	for name, want := range parameters {
		p, err := FindPreset(name)
		if err != nil {
			t.Fatal(err)
		}
		got := int64(0)
		for _, w := range p.weights(DefaultStd) {
			got += w.info.Elements()
		}
		if got != want || p.check() != nil {
			t.Errorf("%s has %d parameters, want %d (%v)", name, got, want, p.check())
		}
	}
	if len(parameters) != len(PresetNames()) {
		t.Errorf("%d presets, %d are tested", len(PresetNames()), len(parameters))
	}
	if _, err := FindPreset("70b"); err == nil || !strings.Contains(err.Error(), "llama3-8b") {
		t.Errorf("an unknown model: %v", err)
	}
}

func TestVocabularyIsPadded(t *testing.T) {
	f, err := gguf.Open(writeTest(t, testConfig(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kvs, err := Vocabulary(f, 600)
	if err != nil {
		t.Fatal(err)
	}
	padded := gguf.Describe(kvs, nil)
	tokens, _ := padded.Strings("tokenizer.ggml.tokens")
	types, _ := padded.Ints("tokenizer.ggml.token_type")
	if len(tokens) != 600 || tokens[599] != "[PAD599]" || tokens[503] != EndOfText || len(types) != 600 || types[599] != unusedToken || types[0] != 1 {
		t.Errorf("%d tokens, %d types", len(tokens), len(types))
	}
	if _, err := Vocabulary(f, 500); err == nil || !strings.Contains(err.Error(), "more than the 500") {
		t.Errorf("too small a vocabulary: %v", err)
	}
	if _, err := Vocabulary(openSynthetic(t, Synthetic{Preset: tiny, Std: 1, Storage: testSynthetic(t, "q8_0", false).Storage}), 5000); err == nil {
		t.Error("a file without a vocabulary was taken")
	}
}
