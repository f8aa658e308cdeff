package fim

import "bytes"

// sentinels are the spellings of control tokens in the model families that
// know fill-in-the-middle or chat. A tokenizer may read them as tokens
// wherever they stand, so a file that holds one is left out. They are put
// together from halves here, so that this file can be learned from. Not among
// them is StarCoder 1's token before a path, which is a common word in usage
// texts.
var sentinels = [][]byte{
	lit("<|fim_", "prefix|>"), lit("<|fim_", "suffix|>"), lit("<|fim_", "middle|>"), lit("<|fim_", "pad|>"), lit("<|fim_", "repo|>"),
	lit("<|repo_", "name|>"), lit("<|file_", "sep|>"), lit("<|file_", "separator|>"),
	lit("<fim_", "prefix>"), lit("<fim_", "suffix>"), lit("<fim_", "middle>"), lit("<fim_", "pad>"),
	lit("<fim-", "prefix>"), lit("<fim-", "suffix>"), lit("<fim-", "middle>"), lit("<fim-", "pad>"), lit("<fim-", "repo>"),
	lit("<repo_", "name>"), lit("<file_", "sep>"), lit("<repo", "name>"), lit("<gh_", "stars>"),
	lit("<\uff5cfim\u2581", "begin\uff5c>"), lit("<\uff5cfim\u2581", "hole\uff5c>"), lit("<\uff5cfim\u2581", "end\uff5c>"),
	lit("<|code_", "prefix|>"), lit("<|code_", "suffix|>"), lit("<|code_", "middle|>"),
	lit("<|pre", "fix|>"), lit("<|suf", "fix|>"), lit("<|mid", "dle|>"),
	lit("<", "PRE>"), lit("<", "SUF>"), lit("<", "MID>"), lit("<", "EOT>"), lit("<", "REPO>"),
	lit("[", "SUFFIX]"), lit("[", "PREFIX]"), lit("[", "MIDDLE]"),
	lit("<|endof", "text|>"), lit("<|im_", "start|>"), lit("<|im_", "end|>"), lit("<|begin_of_", "text|>"), lit("<|end_of_", "text|>"),
	lit("<|eot_", "id|>"), lit("<|E", "OT|>"),
	lit("<\uff5cbegin\u2581of\u2581", "sentence\uff5c>"), lit("<\uff5cend\u2581of\u2581", "sentence\uff5c>"),
}

func lit(a, b string) []byte { return []byte(a + b) }

// openings begin every sentinel. A file without any of them has none.
var openings = [][]byte{
	[]byte("<|"), []byte("<\uff5c"), []byte("<fim"), []byte("<repo"), []byte("<file_"), []byte("<gh_"), []byte("<PRE"), []byte("<SUF"),
	[]byte("<MID"), []byte("<EOT"), []byte("<REPO"), []byte("[SUFFIX"), []byte("[PREFIX"), []byte("[MIDDLE"),
}

// HasSentinel tells whether src holds the spelling of a control token.
func HasSentinel(src []byte) bool {
	for _, o := range openings {
		if !bytes.Contains(src, o) {
			continue
		}
		for _, s := range sentinels {
			if bytes.HasPrefix(s, o) && bytes.Contains(src, s) {
				return true
			}
		}
	}
	return false
}
