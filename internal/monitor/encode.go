package monitor

import (
	"encoding/json"
	"strconv"
)

// appendSeries writes the points of a run as JSON. Figures are shortest forms
// of 32 bits; one by one they are written by hand, since there can be a hundred
// thousand.
func (r *run) appendSeries(out []byte, q seriesQuery) []byte {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out = append(out, '{')
	first := true
	for _, m := range q.metrics {
		points := r.current().series(m, q.view)
		if len(points) == 0 {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(appendString(out, metricNames[m]), ':')
		out = appendPoints(out, points, q.view.smooth > 0 && noisy[m])
	}
	return append(out, '}')
}

func appendPoints(out []byte, points []point, smoothed bool) []byte {
	out = append(out, `{"x":`...)
	out = appendNumbers(out, points, 64, func(p point) float64 { return p.x })
	out = append(out, `,"y":`...)
	out = appendNumbers(out, points, 32, func(p point) float64 { return float64(p.y) })
	if smoothed {
		out = append(out, `,"s":`...)
		out = appendNumbers(out, points, 32, func(p point) float64 { return float64(p.smooth) })
	}
	return append(out, '}')
}

func appendNumbers(out []byte, points []point, bits int, value func(point) float64) []byte {
	out = append(out, '[')
	for i, p := range points {
		if i > 0 {
			out = append(out, ',')
		}
		out = strconv.AppendFloat(out, value(p), 'g', -1, bits)
	}
	return append(out, ']')
}

// appendString writes text as JSON, which strings always have.
func appendString(out []byte, text string) []byte {
	quoted, _ := json.Marshal(text)
	return append(out, quoted...)
}
