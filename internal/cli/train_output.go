package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/ui"
)

// Names within a run's output folder.
const (
	configFile  = "config.yaml"
	summaryFile = "summary.json"
	lockFile    = ".lock"
)

// runFolders is where a run writes.
type runFolders struct {
	name   string
	output string // adapter, checkpoints, settings, summary
	runs   string // metrics and TensorBoard events
	log    string // zerolog JSON
}

func foldersOf(r config.Run) runFolders {
	return runFolders{name: r.Name, output: r.Output, runs: filepath.Join("runs", r.Name), log: filepath.Join("logs", r.Name+".log")}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// claim is this process's hold on the folders of its run.
type claim struct {
	folders runFolders
	earlier bool // the output holds a run that is to be put aside
	unlock  func()
}

// claim makes sure that this run may write to its folders and can. It refuses
// those of another run unless resume or force say what to do with it, and locks
// the output. What is there stays until putAside: a run that cannot begin is to
// change nothing.
func (f runFolders) claim(resume, force bool) (*claim, error) {
	earlier := !resume && f.occupied()
	if earlier && !force {
		return nil, f.refuseOccupied()
	}
	hint := "choose another folder with --output, or free space and set permissions"
	for _, dir := range []string{f.output, f.runs, filepath.Dir(f.log)} {
		if err := checkWritable(dir); err != nil {
			return nil, ui.Fail(ui.ExitFailure, err, hint)
		}
	}
	unlock, err := lock(filepath.Join(f.output, lockFile))
	if err != nil {
		return nil, err
	}
	return &claim{f, earlier, unlock}, nil
}

// release ends the hold and removes folders that are still empty.
func (c *claim) release() {
	c.folders.tidy()
	c.unlock()
}

// putAside puts the earlier run aside, if there is one, and claims its place.
func (c *claim) putAside(s *ui.Streams) error {
	if !c.earlier {
		return nil
	}
	aside, err := putFolderAside(c.folders.output, s)
	if err != nil {
		return err
	}
	s.Infof("put the earlier run aside: %s\n", aside)
	anew, err := c.folders.claim(false, false)
	c.unlock() // its file went with the earlier run
	if err != nil {
		return err
	}
	*c = *anew
	return nil
}

// tidy removes what claim made if nothing else came to it.
func (f runFolders) tidy() {
	if left, err := os.ReadDir(f.output); err == nil && len(left) == 1 {
		os.Remove(filepath.Join(f.output, lockFile))
	}
	for _, dir := range []string{f.output, f.runs, filepath.Dir(f.output), filepath.Dir(f.runs), filepath.Dir(f.log)} {
		os.Remove(dir) // fails where there is something in it, which is the point
	}
}

func (f runFolders) refuseOccupied() error {
	state, hint := "an unfinished", "go on with it: "+f.resumeCommand()
	if exists(filepath.Join(f.output, summaryFile)) {
		state, hint = "a finished", f.longer(0)
	}
	return ui.Fail(ui.ExitUsage, fmt.Errorf("%s holds %s run", f.output, state),
		hint,
		"start anew under another --name, or with --force, which puts the old one aside")
}

// occupied tells whether the output holds the result or a checkpoint of a run.
func (f runFolders) occupied() bool {
	found, _ := filepath.Glob(filepath.Join(f.output, "checkpoint-*")) // the pattern is well-formed
	return len(found) > 0 || exists(filepath.Join(f.output, summaryFile))
}

// checkWritable makes dir and writes a byte to a file in it, durably: a disk
// that is full says so now and not at the first checkpoint.
func checkWritable(dir string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("cannot write to %s: %w", dir, err)
		}
	}()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable-*")
	if err != nil {
		return err
	}
	_, err = f.Write([]byte{'\n'})
	return errors.Join(err, f.Sync(), f.Close(), os.Remove(f.Name()))
}

// checkSpace fails when the disk of dir has less than need bytes free.
func checkSpace(dir string, need int64, what string, hints ...string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("find the free space of %s: %w", dir, err)
	}
	free := int64(st.Bavail) * st.Bsize
	if free >= need {
		return nil
	}
	return ui.Fail(ui.ExitFailure,
		fmt.Errorf("%s needs %s in %s, of which %s are free", what, humanize.IBytes(uint64(need)), dir, humanize.IBytes(uint64(max(free, 0)))),
		hints...)
}

// lockFolder takes the lock of the run in dir, if there has been one.
func lockFolder(dir string) (release func(), err error) {
	path := filepath.Join(dir, lockFile)
	if !exists(path) {
		return func() {}, nil
	}
	return lock(path)
}

// lock takes the lock at path for this process, or says that another has it.
// The kernel drops it when the process ends, however it does.
func lock(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock the run: %w", err)
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return func() { f.Close() }, nil
	}
	f.Close()
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, ui.Fail(ui.ExitFailure, fmt.Errorf("another process is training in %s", filepath.Dir(path)),
			"follow it with 'qlora logs --follow', or choose another --name or --output")
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}
