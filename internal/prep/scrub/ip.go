package scrub

import (
	"net/netip"
)

var ipRule = &rule{id: "ipv4", description: "public IPv4 address; off unless asked for"}

var (
	ipBytes    = merge(digitBytes, setOf("."))
	publicDNS  = []string{"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222", "208.67.220.220"}
	specialNet = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4")
)

func prefixes(list ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// detectIP looks at the number before the dot at start: it acts on the first
// dot of four numbers.
func detectIP(sc *scan, r *rule, text string, start, _ int) {
	from := start
	for from > 0 && digitBytes.has(text[from-1]) {
		from--
	}
	if from == start || from > 0 && (text[from-1] == '.' || isWord(text[from-1])) {
		return
	}
	to := start
	for to < len(text) && to-from < 16 && ipBytes.has(text[to]) {
		to++
	}
	if to < len(text) && isWord(text[to]) {
		return
	}
	for to > from && text[to-1] == '.' {
		to--
	}
	if address, err := netip.ParseAddr(text[from:to]); err == nil && isPublic(address) {
		sc.spans = append(sc.spans, span{from, to, r})
	}
}

func isPublic(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range specialNet {
		if p.Contains(a) {
			return false
		}
	}
	for _, s := range publicDNS {
		if a.String() == s {
			return false
		}
	}
	return true
}
