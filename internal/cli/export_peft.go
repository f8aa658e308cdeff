package cli

import (
	"fmt"

	"github.com/dustin/go-humanize/english"

	"github.com/qlora/qlora/internal/handover"
	"github.com/qlora/qlora/internal/handover/card"
	"github.com/qlora/qlora/internal/handover/peft"
	"github.com/qlora/qlora/internal/ui"
)

func (o *exportOptions) toPEFT(folder *handover.Folder, in *exportSource, sum *exportSummary) error {
	if in.adapter == nil {
		return ui.Fail(ui.ExitUsage, fmt.Errorf("%s is a whole model, and PEFT takes adapters", in.path),
			"export the adapter that was merged into it")
	}
	options := peft.Options{Base: o.baseName, Type: dtypes[o.dtype]}
	if options.Base == "" {
		var known bool
		if options.Base, known = baseHub(in.base); !known {
			sum.warn("%s does not say where it is at the hub: base_model_name_or_path is %q; name it with --base-name", sum.Base, options.Base)
		}
	}
	if in.run != nil {
		options.Dropout = in.run.Dropout
	}
	if _, err := peft.Export(folder, in.adapter, in.base, options); err != nil {
		return ui.Fail(ui.ExitInvalid, fmt.Errorf("export %s: %w", in.path, err))
	}
	if len(in.adapter.Ignored) > 0 {
		n := len(in.adapter.Ignored)
		sum.warn("llama.cpp does not apply %s of %s, and %s not exported", english.Plural(n, "tensor", ""), in.path, english.PluralWord(n, "it is", "they are"))
	}
	sum.Files = append(sum.Files, peft.ConfigFile, peft.TensorFile)
	c := cardOf(in, card.PEFT, peft.TensorFile)
	c.Base.Hub = options.Base
	return writeCardInto(folder, c, sum)
}
