package dataset

import "strings"

// FIMSample is a fill-in-the-middle record: a hole in a file and, perhaps,
// other files of the repository to show before it.
type FIMSample struct {
	Prefix, Middle, Suffix string
	Repo, Path             string // of the file with the hole; needed with Context
	Context                []ContextFile
}

// ContextFile is another file of the repository, or the start of one.
type ContextFile struct {
	Path    string `json:"path"`
	Content string `json:"content"`
}

// segmentKind says what a segment of a laid out sample is.
type segmentKind int

const (
	plainText segmentKind = iota // segment.text
	holePrefix
	holeSuffix
	holeMiddle
	tokenPrefix
	tokenSuffix
	tokenMiddle
	tokenEnd
	tokenRepo
	tokenSep
)

// segment is a special token or a piece of text.
type segment struct {
	role segmentKind
	text string
}

func text(parts ...string) segment { return segment{plainText, strings.Join(parts, "")} }

// hole is the part that every family shares: prefix, suffix, then the middle.
func (s FIMSample) hole() []segment {
	return []segment{
		{tokenPrefix, ""}, {holePrefix, s.Prefix}, {tokenSuffix, ""}, {holeSuffix, s.Suffix}, {tokenMiddle, ""}, {holeMiddle, s.Middle}, {tokenEnd, ""},
	}
}

// layout is the whole sample; the context is left out where files is nil.
func (s FIMSample) layout(files fileLayout) []segment {
	if files == nil || len(s.Context) == 0 {
		return s.hole()
	}
	return files(s)
}

// fileLayout lays out a sample that has other files with it.
type fileLayout func(s FIMSample) []segment

// filesQwen: the repository's name, then each file after a separator and its
// path, all on lines of their own; the file with the hole comes last.
func filesQwen(s FIMSample) []segment {
	var out []segment
	if s.Repo != "" {
		out = append(out, segment{tokenRepo, ""}, text(s.Repo, "\n"))
	}
	for _, f := range s.Context {
		out = append(out, segment{tokenSep, ""}, text(f.Path, "\n", endLine(f.Content)))
	}
	return append(append(out, segment{tokenSep, ""}, text(s.Path, "\n")), s.hole()...)
}

// filesStarCoder2: as Qwen's, but no line ends after the name and the files,
// and the path of the file with the hole stands behind the prefix token.
func filesStarCoder2(s FIMSample) []segment {
	var out []segment
	if s.Repo != "" {
		out = append(out, segment{tokenRepo, ""}, text(s.Repo))
	}
	for _, f := range s.Context {
		out = append(out, segment{tokenSep, ""}, text(f.Path, "\n", f.Content))
	}
	hole := s.hole()
	out = append(out, segment{tokenSep, ""}, hole[0], text(s.Path, "\n"))
	return append(out, hole[1:]...)
}

// filesCodeGemma: the files, each followed by the separator; paths are not
// part of the format.
func filesCodeGemma(s FIMSample) []segment {
	var out []segment
	for _, f := range s.Context {
		out = append(out, text(f.Content), segment{tokenSep, ""})
	}
	return append(out, s.hole()...)
}

// filesDeepSeek: the files one after the other, each under a comment with its
// path.
func filesDeepSeek(s FIMSample) []segment {
	var b strings.Builder
	for _, f := range s.Context {
		b.WriteString("#" + f.Path + "\n" + endLine(f.Content))
	}
	return append([]segment{text(b.String(), "#", s.Path, "\n")}, s.hole()...)
}

// endLine ends the last line of a file that does not.
func endLine(content string) string {
	if strings.HasSuffix(content, "\n") {
		return content
	}
	return content + "\n"
}
