package monitor

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"

	"github.com/qlora/qlora/internal/runlog"
)

// listing is the state of the folder.
type listing struct {
	Root    string        `json:"root"`
	Problem string        `json:"problem,omitempty"`
	Runs    []pageSummary `json:"runs"`
}

func (s *Server) listing() listing {
	runs := s.runs.all()
	s.runs.mu.RLock()
	defer s.runs.mu.RUnlock()
	return listing{Root: s.o.Root, Problem: s.runs.failure, Runs: runs}
}

func (s *Server) serveRuns(w http.ResponseWriter, _ *http.Request) { answer(w, s.listing()) }

// seriesQuery is a request for points: of which runs, which metrics, which
// part.
type seriesQuery struct {
	runs    []string
	metrics []Metric
	view    view
}

// Limits of a request for points.
const (
	mostRuns      = 200
	leastBuckets  = 10
	mostBuckets   = 4000
	strongestMean = 0.9999
)

// parseSeriesQuery reads run=NAME... metric=NAME... x=AXIS from=X to=X
// points=N smooth=W.
func parseSeriesQuery(q url.Values) (seriesQuery, error) {
	out := seriesQuery{runs: q["run"], view: view{axis: Axis(q.Get("x"))}}
	if len(out.runs) == 0 || len(out.runs) > mostRuns {
		return out, fmt.Errorf("give 1 to %d runs", mostRuns)
	}
	for _, name := range q["metric"] {
		m, found := metricNamed(name)
		if !found || slices.Contains(out.metrics, m) {
			return out, fmt.Errorf("metric %q is not known or is there twice", name)
		}
		out.metrics = append(out.metrics, m)
	}
	if !slices.Contains(Axes, out.view.axis) {
		return out, fmt.Errorf("x %q: choose one of %v", q.Get("x"), Axes)
	}
	var points float64
	err := errors.Join(
		number(q, "from", &out.view.from, math.Inf(-1), math.Inf(-1), math.MaxFloat64),
		number(q, "to", &out.view.to, math.Inf(1), -math.MaxFloat64, math.Inf(1)),
		number(q, "points", &points, 1000, 2*leastBuckets, 2*mostBuckets),
		number(q, "smooth", &out.view.smooth, 0, 0, strongestMean))
	out.view.buckets = int(points / 2)
	return out, err
}

// number reads a parameter that must lie from least to most.
func number(q url.Values, name string, p *float64, otherwise, least, most float64) error {
	*p = otherwise
	if q.Get(name) == "" {
		return nil
	}
	v, err := strconv.ParseFloat(q.Get(name), 64)
	if err != nil || !(v >= least && v <= most) {
		return fmt.Errorf("%s %q: give a number from %g to %g", name, q.Get(name), least, most)
	}
	*p = v
	return nil
}

// serveSeries answers {"runs":{NAME:{METRIC:{"x":[],"y":[],"s":[]}}}}. A run
// that is not there any more is left out; the page hears of it by an event.
func (s *Server) serveSeries(w http.ResponseWriter, r *http.Request) {
	q, err := parseSeriesQuery(r.URL.Query())
	if err != nil {
		refuse(w, http.StatusBadRequest, err.Error())
		return
	}
	out := []byte(`{"runs":{`)
	first := true
	for _, name := range q.runs {
		found := s.runs.find(name)
		if found == nil {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(appendString(out, name), ':')
		out = found.appendSeries(out, q)
	}
	answerText(w, append(out, `}}`...))
}

// config is a run's settings as a flat list, in the order of the file.
type config struct {
	Run      string    `json:"run"`
	Settings []setting `json:"settings"`
}

type setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

func (s *Server) serveConfig(w http.ResponseWriter, r *http.Request) {
	found := s.runs.find(r.URL.Query().Get("run"))
	if found == nil {
		refuse(w, http.StatusNotFound, "no such run")
		return
	}
	settings, err := readSettings(filepath.Join(found.dir, runlog.ConfigFile))
	if err != nil {
		refuse(w, http.StatusNotFound, err.Error())
		return
	}
	answer(w, config{Run: found.name, Settings: settings})
}

// largestConfig is far above any that a run writes.
const largestConfig = 1 << 20

func readSettings(path string) ([]setting, error) {
	f, err := openRegular(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, errors.New("this run has stored no settings")
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("read settings: %w", err)
	}
	if info.Size() > largestConfig {
		return nil, fmt.Errorf("%s is larger than %d bytes", path, largestConfig)
	}
	var root yaml.Node
	if err := yaml.NewDecoder(f).Decode(&root); err != nil {
		return nil, fmt.Errorf("read settings from %s: %w", path, err)
	}
	return flatten(nil, "", &root), nil
}

// flatten lists the scalars of a document; names of nested ones are joined by
// dots. An alias shows as its name: following it could take for ever.
func flatten(all []setting, name string, n *yaml.Node) []setting {
	join := func(part string) string {
		if name == "" {
			return part
		}
		return name + "." + part
	}
	switch n.Kind {
	case yaml.DocumentNode:
		for _, child := range n.Content {
			all = flatten(all, name, child)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			all = flatten(all, join(n.Content[i].Value), n.Content[i+1])
		}
	case yaml.SequenceNode:
		for i, child := range n.Content {
			all = flatten(all, join(strconv.Itoa(i)), child)
		}
	default:
		all = append(all, setting{name, n.Value})
	}
	return all
}
