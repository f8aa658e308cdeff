//go:build cgo

package syntax

import (
	"unsafe"

	c "github.com/tree-sitter/tree-sitter-c/bindings/go"
	cpp "github.com/tree-sitter/tree-sitter-cpp/bindings/go"
	java "github.com/tree-sitter/tree-sitter-java/bindings/go"
	javascript "github.com/tree-sitter/tree-sitter-javascript/bindings/go"
	python "github.com/tree-sitter/tree-sitter-python/bindings/go"
	rust "github.com/tree-sitter/tree-sitter-rust/bindings/go"
	typescript "github.com/tree-sitter/tree-sitter-typescript/bindings/go"
)

// grammar is where a language comes from and which of its nodes are of use.
// The names are those of the grammar's node-types.json.
type grammar struct {
	pointer   func() unsafe.Pointer
	kinds     map[string]string
	functions map[string]bool // nodes whose block is a function's body
}

var grammars = map[string]grammar{
	"python": {python.Language, kinds(names{
		Statement: {
			"assert_statement", "delete_statement", "expression_statement", "for_statement", "if_statement", "match_statement",
			"raise_statement", "return_statement", "try_statement", "while_statement", "with_statement",
		},
		Block:       {"block"},
		Declaration: {"function_definition", "class_definition", "decorated_definition"},
		Arguments:   {"argument_list"},
		Expression: {
			"call", "binary_operator", "boolean_operator", "comparison_operator", "conditional_expression", "lambda", "list", "dictionary", "tuple",
			"list_comprehension", "dictionary_comprehension", "generator_expression", "parenthesized_expression",
		},
	}), set("function_definition")},
	"c":   {c.Language, kinds(cNames), set("function_definition")},
	"c++": {cpp.Language, kinds(cNames, cppNames), set("function_definition", "lambda_expression")},
	"java": {java.Language, kinds(names{
		Statement: {
			"assert_statement", "do_statement", "enhanced_for_statement", "expression_statement", "for_statement", "if_statement",
			"local_variable_declaration", "return_statement", "switch_expression", "synchronized_statement", "throw_statement",
			"try_statement", "try_with_resources_statement", "while_statement", "yield_statement",
		},
		Block: {"block", "constructor_body", "class_body", "interface_body", "enum_body", "switch_block"},
		Declaration: {
			"class_declaration", "constructor_declaration", "enum_declaration", "field_declaration", "interface_declaration", "method_declaration",
			"record_declaration",
		},
		Arguments: {"argument_list"},
		Expression: {
			"array_creation_expression", "array_initializer", "assignment_expression", "binary_expression", "cast_expression", "lambda_expression",
			"method_invocation", "object_creation_expression", "parenthesized_expression", "ternary_expression",
		},
	}), set("method_declaration", "constructor_declaration", "lambda_expression")},
	"javascript": {javascript.Language, kinds(scriptNames, elementNames), scriptFunctions},
	"typescript": {typescript.LanguageTypescript, kinds(scriptNames, typeNames), scriptFunctions},
	"tsx":        {typescript.LanguageTSX, kinds(scriptNames, typeNames, elementNames), scriptFunctions},
	"rust": {rust.Language, kinds(names{
		Statement: {"expression_statement", "let_declaration"},
		Block:     {"block", "declaration_list", "field_declaration_list", "match_block"},
		Declaration: {
			"const_item", "enum_item", "function_item", "impl_item", "macro_definition", "mod_item", "static_item", "struct_item", "trait_item",
			"type_item",
		},
		Arguments: {"arguments"},
		Expression: {
			"array_expression", "assignment_expression", "binary_expression", "call_expression", "closure_expression", "for_expression",
			"if_expression", "loop_expression", "macro_invocation", "match_arm", "match_expression", "struct_expression", "tuple_expression",
			"while_expression",
		},
	}), set("function_item", "closure_expression")},
}

var cNames = names{
	Statement: {
		"case_statement", "declaration", "do_statement", "expression_statement", "for_statement", "goto_statement", "if_statement",
		"return_statement", "switch_statement", "while_statement",
	},
	Block:       {"compound_statement", "declaration_list", "enumerator_list", "field_declaration_list"},
	Declaration: {"field_declaration", "function_definition", "type_definition"},
	Arguments:   {"argument_list"},
	Expression: {
		"assignment_expression", "binary_expression", "call_expression", "cast_expression", "conditional_expression", "initializer_list",
		"parenthesized_expression",
	},
}

var cppNames = names{
	Statement:   {"co_return_statement", "for_range_loop", "throw_statement", "try_statement"},
	Declaration: {"alias_declaration", "namespace_definition", "template_declaration"},
	Expression:  {"lambda_expression", "new_expression"},
}

var scriptNames = names{
	Statement: {
		"do_statement", "expression_statement", "for_in_statement", "for_statement", "if_statement", "lexical_declaration", "return_statement",
		"switch_statement", "throw_statement", "try_statement", "variable_declaration", "while_statement",
	},
	Block:       {"class_body", "statement_block", "switch_body"},
	Declaration: {"class_declaration", "function_declaration", "generator_function_declaration", "method_definition"},
	Arguments:   {"arguments"},
	Expression: {
		"array", "arrow_function", "assignment_expression", "await_expression", "binary_expression", "call_expression", "function_expression",
		"new_expression", "object", "parenthesized_expression", "template_string", "ternary_expression",
	},
}

var typeNames = names{
	Block:       {"enum_body", "interface_body"},
	Declaration: {"enum_declaration", "interface_declaration", "type_alias_declaration"},
}

var elementNames = names{Expression: {"jsx_element"}}

var scriptFunctions = set("arrow_function", "function_declaration", "function_expression", "generator_function",
	"generator_function_declaration", "method_definition")

// names lists the nodes of each kind.
type names map[string][]string

func kinds(lists ...names) map[string]string {
	all := map[string]string{}
	for _, list := range lists {
		for kind, nodes := range list {
			for _, name := range nodes {
				all[name] = kind
			}
		}
	}
	return all
}

func set(list ...string) map[string]bool {
	all := map[string]bool{}
	for _, name := range list {
		all[name] = true
	}
	return all
}
