package fim

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strconv"
	"strings"
)

// A commit is read through git itself: whoever has a bare repository has git,
// and git alone reads every kind of it (packs, alternates, partial clones,
// SHA-256 names, reftables) at full speed.

// listCommit lists the files of a commit under the repository's folder.
func (l *Listing) listCommit(ctx context.Context, rev string) error {
	l.Method = methodCommit
	name, err := git(ctx, l.Dir, "rev-parse", "--verify", "--end-of-options", rev+"^{commit}")
	if errors.Is(err, errNoGit) {
		return fmt.Errorf("read %s at %s: %w", l.Dir, rev, err)
	}
	if err != nil {
		return fmt.Errorf("%w %s in %s: %w", ErrRev, rev, l.Dir, err)
	}
	l.Commit = strings.TrimSpace(string(name))
	out, err := git(ctx, l.Dir, "ls-tree", "-r", "-z", "-l", l.Commit)
	if err != nil {
		return fmt.Errorf("list the files of %s at %s: %w", l.Dir, rev, err)
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		if e, ok := parseTreeLine(line); ok {
			l.entries = append(l.entries, e)
		}
	}
	l.reader = &objects{dir: l.Dir, idle: make(chan *catFile, 64)}
	return nil
}

// ErrRev is wrapped where a repository does not have the commit asked for.
var ErrRev = errors.New("no commit")

// parseTreeLine reads "mode type object size<tab>path". Links and submodules
// are entries that are not regular.
func parseTreeLine(line string) (entry, bool) {
	meta, path, ok := strings.Cut(line, "\t")
	fields := strings.Fields(meta)
	if !ok || len(fields) != 4 {
		return entry{}, false
	}
	size, err := strconv.ParseInt(fields[3], 10, 64)
	regular := err == nil && fields[1] == "blob" && strings.HasPrefix(fields[0], "100")
	return entry{path: path, size: size, regular: regular, object: fields[2]}, true
}

// objects reads files by their names as objects, over as many processes of git
// as there are readers at once.
type objects struct {
	dir  string
	idle chan *catFile
}

func (o *objects) read(ctx context.Context, e entry) ([]byte, error) {
	var c *catFile
	select {
	case c = <-o.idle:
	default:
		var err error
		if c, err = startCatFile(ctx, o.dir); err != nil {
			return nil, err
		}
	}
	src, err := c.read(e)
	if err != nil { // its state is not known any more
		return nil, errors.Join(err, c.close())
	}
	select {
	case o.idle <- c:
		return src, nil
	default:
		return src, c.close()
	}
}

func (o *objects) close() error {
	var errs []error
	for {
		select {
		case c := <-o.idle:
			errs = append(errs, c.close())
		default:
			return errors.Join(errs...)
		}
	}
}

// catFile is one "git cat-file --batch": a name in, a header and the object
// out.
type catFile struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startCatFile(ctx context.Context, dir string) (*catFile, error) {
	cmd := exec.CommandContext(ctx, "git", "-C", dir, "cat-file", "--batch")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("talk to git: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("listen to git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start git: %w", err)
	}
	return &catFile{cmd, in, bufio.NewReaderSize(out, 64<<10)}, nil
}

func (c *catFile) read(e entry) ([]byte, error) {
	if _, err := io.WriteString(c.in, e.object+"\n"); err != nil {
		return nil, fmt.Errorf("ask git for %s: %w", e.path, err)
	}
	header, err := c.out.ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("read %s from git: %w", e.path, err)
	}
	fields := strings.Fields(header)
	if len(fields) != 3 || fields[1] != "blob" || fields[2] != strconv.FormatInt(e.size, 10) {
		return nil, fmt.Errorf("read %s from git: unexpected answer %q", e.path, strings.TrimSpace(header))
	}
	src := make([]byte, e.size+1) // the object and a line end
	if _, err := io.ReadFull(c.out, src); err != nil {
		return nil, fmt.Errorf("read %s from git: %w", e.path, err)
	}
	return src[:e.size], nil
}

func (c *catFile) close() error {
	c.in.Close() // git ends when its input does
	if err := c.cmd.Wait(); err != nil {
		return fmt.Errorf("end git: %w", err)
	}
	return nil
}
