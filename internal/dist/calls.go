package dist

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Kinds of calls, so that ranks notice when they are not making the same one.
const (
	opSum32 byte = iota + 1
	opSum64
	opBroadcast
	opBarrier
	opAgree
)

// Broadcast returns rank 0's b on every rank; what the others give is ignored.
func (g *Group) Broadcast(b []byte) ([]byte, error) {
	if g == nil {
		return b, nil
	}
	if err := g.next(); err != nil {
		return nil, err
	}
	return g.spread(opBroadcast, b)
}

// spread sends rank 0's b to all within a call.
func (g *Group) spread(op byte, b []byte) ([]byte, error) {
	if !g.Leads() {
		return g.receive(g.links[0], op)
	}
	for _, l := range g.links {
		if err := g.send(l, op, b); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// gather brings what each rank gives to rank 0, in the order of the links;
// elsewhere the result is empty.
func (g *Group) gather(op byte, mine []byte) ([][]byte, error) {
	if !g.Leads() {
		return nil, g.send(g.links[0], op, mine)
	}
	var all [][]byte
	for _, l := range g.links {
		b, err := g.receive(l, op)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// Barrier returns when all ranks have called it.
func (g *Group) Barrier() error {
	if g == nil {
		return nil
	}
	if err := g.next(); err != nil {
		return err
	}
	if _, err := g.gather(opBarrier, nil); err != nil {
		return err
	}
	_, err := g.spread(opBarrier, nil)
	return err
}

// Agree holds what every rank says of itself, by name, to what rank 0 says. The
// error on all ranks is a *Mismatch that names what differs, and where.
func (g *Group) Agree(mine map[string]string) error {
	if g == nil {
		return nil
	}
	if err := g.next(); err != nil {
		return err
	}
	text, err := json.Marshal(mine)
	if err != nil {
		return fmt.Errorf("compare ranks: %w", err)
	}
	all, err := g.gather(opAgree, text)
	if err != nil {
		return err
	}
	var differ []string
	for i, theirs := range all {
		differ = append(differ, differences(g.links[i].rank, theirs, mine)...)
	}
	verdict, err := g.spread(opAgree, []byte(strings.Join(differ, "; ")))
	if err == nil && len(verdict) > 0 {
		err = &Mismatch{string(verdict)}
	}
	return err
}

// differences compares what rank says with what rank 0 does.
func differences(rank int, text []byte, mine map[string]string) []string {
	theirs := map[string]string{}
	if err := json.Unmarshal(text, &theirs); err != nil {
		return []string{fmt.Sprintf("rank %d cannot be understood: %v", rank, err)}
	}
	names := maps.Clone(mine)
	maps.Copy(names, theirs)
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if a, b := mine[name], theirs[name]; a != b {
			out = append(out, fmt.Sprintf("%s is %q on rank 0 and %q on rank %d", name, a, b, rank))
		}
	}
	return out
}
