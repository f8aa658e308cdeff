package cli

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/qlora/qlora/internal/lora"
)

// fallbackList gathers the tensors whose rows forced another type, one line
// for the same linear of several blocks.
type fallbackList struct {
	texts  []string // in the order of first appearance
	blocks map[string][]int
}

var blockName = regexp.MustCompile(`^blk\.(\d+)\.(.*)$`)

func (l *fallbackList) add(t lora.TensorReport) {
	reason := fmt.Sprintf("rows of %d values do not fit %s, stored as %s", t.Tensor.RowLen(), t.Wanted, t.Type)
	text, block := t.Tensor.Name+": "+reason, -1
	if m := blockName.FindStringSubmatch(t.Tensor.Name); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			text, block = m[2]+" of block %s: "+reason, n
		}
	}
	if l.blocks == nil {
		l.blocks = map[string][]int{}
	}
	if _, ok := l.blocks[text]; !ok {
		l.texts = append(l.texts, text)
	}
	l.blocks[text] = append(l.blocks[text], block)
}

func (l *fallbackList) lines() []string {
	var out []string
	for _, text := range l.texts {
		out = append(out, strings.Replace(text, "%s", ranges(l.blocks[text]), 1))
	}
	return out
}

// ranges writes numbers as "0-3, 7".
func ranges(numbers []int) string {
	numbers = slices.Clone(numbers)
	slices.Sort(numbers)
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]+1 {
			j++
		}
		part := strconv.Itoa(numbers[i])
		if j > i {
			part += "-" + strconv.Itoa(numbers[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ", ")
}
