package stats

import (
	"cmp"
	"slices"
)

// maxNames bounds the distinct names that are counted one by one, so that
// names which are different in every sample do not fill the memory.
const maxNames = 1 << 16

// listedNames is how many names a report lists.
const listedNames = 50

// Count is a name and how often it occurs.
type Count struct {
	Name string `json:"name"`
	N    int64  `json:"n"`
}

// Counts are the most frequent names, and what is known of the others.
type Counts struct {
	Top      []Count `json:"top"`
	Distinct int     `json:"distinct"`
	// Others is the occurrences of names that Top does not list. When there
	// were more than 65536 names, those that came later are among them and not
	// in Distinct.
	Others int64 `json:"others,omitempty"`
}

// counter counts names.
type counter struct {
	byName map[string]int64
	late   int64 // occurrences of names beyond the limit
}

func (c *counter) add(name string, n int64) {
	if name == "" || n == 0 {
		return
	}
	if c.byName == nil {
		c.byName = map[string]int64{}
	}
	if _, known := c.byName[name]; !known && len(c.byName) >= maxNames {
		c.late += n
		return
	}
	c.byName[name] += n
}

// counts lists the most frequent names, ties by name.
func (c *counter) counts() Counts {
	all := make([]Count, 0, len(c.byName))
	for name, n := range c.byName {
		all = append(all, Count{name, n})
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Name, b.Name)) })
	out := Counts{Top: all[:min(listedNames, len(all))], Distinct: len(all), Others: c.late}
	for _, rest := range all[len(out.Top):] {
		out.Others += rest.N
	}
	return out
}

// Total is the occurrences of all names.
func (c Counts) Total() int64 {
	n := c.Others
	for _, t := range c.Top {
		n += t.N
	}
	return n
}
