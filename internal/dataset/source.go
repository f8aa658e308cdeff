package dataset

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Source is one data file and its weight: the number of times an epoch is
// expected to pass over it. Weight 1 is every sample once. 0.3 keeps a subset
// of 30 % of the samples, drawn anew each epoch; 2 shows every sample twice;
// 2.5 twice and half of them a third time.
type Source struct {
	Path   string
	Weight float64
}

// MaxWeight bounds a weight; more passes than that are epochs, not a mixture.
const MaxWeight = 1000

// ParseSource reads "file.jsonl" or "file.jsonl:0.3". What follows the last
// colon is a weight when it reads as a number, otherwise a part of the path.
func ParseSource(arg string) (Source, error) {
	path, text, found := cutLast(arg, ":")
	if !found {
		return checkSource(arg, Source{Path: arg, Weight: 1})
	}
	weight, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return checkSource(arg, Source{Path: arg, Weight: 1})
	}
	return checkSource(arg, Source{Path: path, Weight: weight})
}

// ParseSources reads several sources as ParseSource does.
func ParseSources(args []string) ([]Source, error) {
	sources := make([]Source, 0, len(args))
	for _, arg := range args {
		s, err := ParseSource(arg)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func checkSource(arg string, s Source) (Source, error) {
	if s.Path == "" {
		return Source{}, fmt.Errorf("data source %q names no file", arg)
	}
	if math.IsNaN(s.Weight) || s.Weight <= 0 || s.Weight > MaxWeight {
		return Source{}, fmt.Errorf("data source %q: the weight must be above 0 and at most %d", arg, MaxWeight)
	}
	return s, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
