package fim

import (
	"path"
	"strings"
)

// languages maps the ending of a file's name to its language.
var languages = map[string]string{
	".go": "go", ".c": "c", ".h": "c", ".cc": "cpp", ".cpp": "cpp", ".cxx": "cpp", ".hpp": "cpp", ".hh": "cpp",
	".cu": "cuda", ".cuh": "cuda", ".m": "objective-c", ".rs": "rust", ".zig": "zig", ".d": "d", ".swift": "swift",
	".java": "java", ".kt": "kotlin", ".kts": "kotlin", ".scala": "scala", ".groovy": "groovy", ".cs": "csharp", ".fs": "fsharp",
	".py": "python", ".pyi": "python", ".rb": "ruby", ".php": "php", ".pl": "perl", ".pm": "perl", ".lua": "lua",
	".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript",
	".ts": "typescript", ".mts": "typescript", ".tsx": "typescript", ".vue": "vue", ".svelte": "svelte",
	".html": "html", ".css": "css", ".scss": "scss", ".less": "less",
	".sh": "shell", ".bash": "shell", ".zsh": "shell", ".fish": "fish", ".ps1": "powershell",
	".sql": "sql", ".proto": "protobuf", ".graphql": "graphql", ".tf": "terraform", ".nix": "nix",
	".hs": "haskell", ".ml": "ocaml", ".mli": "ocaml", ".ex": "elixir", ".exs": "elixir", ".erl": "erlang", ".clj": "clojure",
	".lisp": "lisp", ".el": "lisp", ".scm": "scheme", ".r": "r", ".jl": "julia", ".dart": "dart", ".s": "assembly", ".asm": "assembly",
	".md": "markdown", ".rst": "restructuredtext", ".tex": "tex", ".cmake": "cmake", ".mk": "make",
	".yaml": "yaml", ".yml": "yaml", ".toml": "toml",
}

// names maps whole names to languages.
var names = map[string]string{
	"makefile": "make", "gnumakefile": "make", "dockerfile": "dockerfile", "cmakelists.txt": "cmake",
	"go.mod": "go-mod", "rakefile": "ruby", "gemfile": "ruby", "justfile": "just",
}

// Language returns the language of a path by its name, or "".
func Language(file string) string {
	base := strings.ToLower(path.Base(file))
	if lang, ok := names[base]; ok {
		return lang
	}
	return languages[path.Ext(base)]
}

// Known tells whether any file can have the language lang.
func Known(lang string) bool {
	for _, table := range []map[string]string{languages, names} {
		for _, l := range table {
			if l == lang {
				return true
			}
		}
	}
	return false
}
