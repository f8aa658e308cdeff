// Package jinja renders chat templates the way Hugging Face transformers does:
// Jinja 2 with trim_blocks, lstrip_blocks and loop controls, in a sandbox that
// forbids changing values, with tojson, raise_exception, strftime_now and
// transparent generation blocks.
//
// It covers the language that chat templates use and refuses the rest by name
// (inheritance, includes, imports). A template comes from a model file and is
// not trusted: nesting, ranges and output are bounded, nothing reaches the
// file system, and no input makes it panic.
//
// Gonja v2.4.1, the Jinja library for Go, was tried and cannot be extended to
// this: "or" and "and" give booleans there and not operands, an "if" inside
// parentheses and a tag over two lines do not parse, trim_blocks leaves
// newlines behind, and a slice beyond the end panics. A mask that rests on
// renderings needs them right to the byte.
//
// Values are plain Go: nil (none), bool, int64, float64, string, []any,
// Tuple, *Dict, *Namespace, Undefined and Callable. Lists and dicts are never
// changed once built.
package jinja
