package llama

// #include <stdlib.h>
// #include "bridge.h"
import "C"

import (
	"errors"
	"fmt"
	"unsafe"
)

// addConstraints adds what moves or forbids single tokens.
func (s *Sampler) addConstraints(o SamplerOptions) error {
	if len(o.Bias) == 0 && o.Grammar == "" {
		return nil
	}
	if o.Vocab == nil {
		return errors.New("biases and grammars need a vocabulary")
	}
	o.Vocab.mu.RLock()
	defer o.Vocab.mu.RUnlock()
	if o.Vocab.handle == nil {
		return ErrClosed
	}
	if len(o.Bias) > 0 {
		if err := s.addBiases(o); err != nil {
			return err
		}
	}
	if o.Grammar == "" {
		return nil
	}
	grammar, root := C.CString(o.Grammar), C.CString("root")
	defer C.free(unsafe.Pointer(grammar))
	defer C.free(unsafe.Pointer(root))
	var link *C.struct_llama_sampler
	lines := capturing(func() { link = C.ql_grammar(o.Vocab.handle, grammar, root) })
	if link == nil {
		return fmt.Errorf("grammar: %s", reason(lines, "libllama refused it"))
	}
	s.add(link)
	return nil
}

func (s *Sampler) addBiases(o SamplerOptions) error {
	biases := make([]C.struct_llama_logit_bias, len(o.Bias))
	for i, b := range o.Bias {
		if b.Token < 0 || int(b.Token) >= o.Vocab.size {
			return fmt.Errorf("bias of token %d, outside the vocabulary of %d", b.Token, o.Vocab.size)
		}
		biases[i] = C.struct_llama_logit_bias{token: C.int32_t(b.Token), bias: C.float(b.Bias)}
	}
	s.add(C.llama_sampler_init_logit_bias(C.int32_t(o.Vocab.size), C.int32_t(len(biases)), &biases[0]))
	return nil
}
