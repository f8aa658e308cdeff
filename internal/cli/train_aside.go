package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/qlora/qlora/internal/config"
	"github.com/qlora/qlora/internal/dataset"
	"github.com/qlora/qlora/internal/runlog"
	"github.com/qlora/qlora/internal/ui"
)

// putFolderAside renames dir, whose lock the caller holds, to dir.1, or the next
// number that is free. With a run goes its folder of records, where that is its
// own, to the same number, and both name their own files from then on.
func putFolderAside(dir string, s *ui.Streams) (string, error) {
	run, ok := runIn(dir)
	if !ok {
		return setAside(dir)
	}
	aside, err := run.nextFree()
	if err != nil {
		return "", err
	}
	moves := [][2]string{{run.output, aside.output}}
	if records, err := settingsIn(run.runs); err == nil && samePlace(records.Output, run.output) {
		moves = append(moves, [2]string{run.runs, aside.runs})
	}
	if err := renameAll(moves); err != nil {
		return "", ui.Fail(ui.ExitFailure, err, "choose another folder with --output")
	}
	aside.rename(run, s)
	return aside.output, nil
}

// runIn is the run whose output is dir by its own settings: those in a copy or
// in a renamed folder speak of another.
func runIn(dir string) (runFolders, bool) {
	r, err := settingsIn(dir)
	if err != nil || r.Name == "" || !samePlace(r.Output, dir) {
		return runFolders{}, false
	}
	r.Output = filepath.Clean(dir)
	return foldersOf(r), true
}

// settingsIn reads the resolved settings of the run in dir.
func settingsIn(dir string) (config.Run, error) {
	r := config.DefaultRun()
	err := config.ReadFile(filepath.Join(dir, configFile), &r)
	if r.Output == "" {
		r.Output = defaultOutput(r.Name)
	}
	return r, err
}

// putRecordsAside renames the records of a run whose output is gone.
func (f runFolders) putRecordsAside(s *ui.Streams) error {
	aside, err := f.nextFree()
	if err != nil {
		return err
	}
	if err := renameAll([][2]string{{f.runs, aside.runs}}); err != nil {
		return err
	}
	aside.rename(f, s)
	s.Infof("put the records of an earlier run aside: %s\n", aside.runs)
	return nil
}

// renameAll renames folders, all of them or none. One that is not there is
// passed over.
func renameAll(moves [][2]string) error {
	for i, m := range moves {
		err := os.Rename(m[0], m[1])
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			continue
		}
		err = fmt.Errorf("put %s aside: %w", m[0], err)
		for _, done := range moves[:i] {
			if back := os.Rename(done[1], done[0]); back != nil && !errors.Is(back, fs.ErrNotExist) {
				err = errors.Join(err, fmt.Errorf("put %s back: %w", done[0], back))
			}
		}
		return err
	}
	return nil
}

// claim takes hold of the folders of r for this call.
func (o trainOptions) claim(r config.Run) (*claim, error) {
	c, err := foldersOf(r).claim(o.resume != "", o.force)
	if err != nil || !c.earlier {
		return c, err
	}
	if err := c.folders.refuseInputs(r); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

// refuseInputs refuses files of r that would be put aside with the earlier run:
// the settings and the samples of the new one would look for them in vain.
func (f runFolders) refuseInputs(r config.Run) error {
	sources, err := dataset.ParseSources(slices.Concat(r.Data, r.EvalData))
	if err != nil {
		return ui.Fail(ui.ExitUsage, err)
	}
	for _, path := range append(pathsOf(sources), r.Model, r.From, r.ChatTemplate) {
		if !liesIn(path, f.output) && !liesIn(path, f.runs) {
			continue
		}
		return ui.Fail(ui.ExitUsage, fmt.Errorf("--force would put %s aside with the earlier run, which this one needs", path),
			"start under another --name and --output, without --force", "or copy the file elsewhere and name the copy")
	}
	return nil
}

// recorded tells whether there are reports of a run.
func (f runFolders) recorded() bool { return exists(filepath.Join(f.runs, runlog.MetricsFile)) }

func (f runFolders) nextFree() (runFolders, error) {
	suffix, err := freeSuffix(f.output, f.runs)
	return runFolders{name: f.name + suffix, output: filepath.Clean(f.output) + suffix, runs: f.runs + suffix, log: f.log}, err
}

// freeSuffix is .1, or the next number that none of the folders has beside it.
func freeSuffix(dirs ...string) (string, error) {
	for i := 1; ; i++ {
		suffix, taken := fmt.Sprintf(".%d", i), false
		for _, dir := range dirs {
			if _, err := os.Lstat(filepath.Clean(dir) + suffix); err == nil {
				taken = true
			} else if !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("put %s aside: %w", dir, err)
			}
		}
		if !taken {
			return suffix, nil
		}
	}
}

// rename makes the records in f, which were those of old, speak of f.
func (f runFolders) rename(old runFolders, s *ui.Streams) {
	var errs []error
	for _, dir := range []string{f.output, f.runs} {
		errs = append(errs, f.renameSummary(dir, old), f.renameSettings(dir, old))
	}
	if err := errors.Join(errs...); err != nil {
		s.Warnf("records of the run put aside may name the files of %s: %v", old.output, err)
	}
}

func (f runFolders) renameSummary(dir string, old runFolders) error {
	m, err := readSummary(dir)
	if m == nil || err != nil {
		return err
	}
	m.Run = f.name
	for _, p := range []*string{&m.Adapter, &m.BestAdapter, &m.Checkpoint} {
		*p = f.moved(*p, old)
	}
	return writeSummary(filepath.Join(dir, summaryFile), m)
}

// moved is where a file of old is now: nowhere, for one whose output was
// emptied without its records.
func (f runFolders) moved(path string, old runFolders) string {
	inside, err := filepath.Rel(old.output, path)
	switch {
	case path == "" || err != nil || inside == ".." || strings.HasPrefix(inside, "../"):
		return path
	case !exists(f.output):
		return ""
	}
	return filepath.Join(f.output, inside)
}

// renameSettings names f in the settings in dir. Records put aside without
// their output keep the name of one elsewhere.
func (f runFolders) renameSettings(dir string, old runFolders) error {
	path := filepath.Join(dir, configFile)
	if !exists(path) {
		return nil
	}
	r, err := settingsIn(dir)
	if err != nil {
		return err
	}
	r.Name = f.name
	if exists(f.output) || filepath.Clean(r.Output) == filepath.Clean(old.output) {
		r.Output = f.output
	}
	text, err := settingsText(r)
	if err != nil {
		return err
	}
	return writeWhole(path, text)
}

// setAside renames a folder that is no run's to dir.1, or the next free number.
func setAside(dir string) (string, error) {
	suffix, err := freeSuffix(dir)
	if err != nil {
		return "", err
	}
	aside := filepath.Clean(dir) + suffix
	return aside, renameAll([][2]string{{dir, aside}})
}
