package main

import (
	"fmt"
	"html"
	"math"
	"strings"
)

// Sizes of the picture, in pixels.
const (
	panelWide, panelHigh       = 300, 220
	left, right, top, bottom   = 44, 14, 30, 40
	plotWide                   = panelWide - left - right
	plotHigh                   = panelHigh - top - bottom
	ink, faint, line, pictures = "#333", "#ddd", "#2a6f97", "sans-serif"
)

// draw puts the charts side by side. Both axes begin at 0, so that what grows
// in proportion is a straight line.
func draw(charts []chart) string {
	var s strings.Builder
	wide := panelWide * len(charts)
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="%s" font-size="11" fill="%s">`+"\n",
		wide, panelHigh, wide, panelHigh, pictures, ink)
	fmt.Fprintf(&s, `<rect width="%d" height="%d" fill="white"/>`+"\n", wide, panelHigh)
	for i, c := range charts {
		fmt.Fprintf(&s, `<g transform="translate(%d,0)">`+"\n%s</g>\n", i*panelWide, c.draw())
	}
	s.WriteString("</svg>\n")
	return s.String()
}

// draw is one panel, with its origin at the top left.
func (c chart) draw() string {
	maxN, maxS := 1.0, 1.0
	for _, p := range c.points {
		maxN, maxS = max(maxN, float64(p.n)), max(maxS, p.seconds)
	}
	step := roundStep(maxS)
	maxS = step * math.Ceil(maxS/step)
	x := func(n float64) float64 { return left + plotWide*n/maxN }
	y := func(s float64) float64 { return top + plotHigh*(1-s/maxS) }
	var s strings.Builder
	text := func(x, y float64, anchor, words string) {
		fmt.Fprintf(&s, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`+"\n", x, y, anchor, html.EscapeString(words))
	}
	text(left+plotWide/2, 16, "middle", c.title)
	text(left+plotWide/2, panelHigh-8, "middle", c.axis)
	for v := 0.0; v <= maxS; v += step {
		fmt.Fprintf(&s, `<path d="M%d %.1fH%d" stroke="%s"/>`+"\n", left, y(v), left+plotWide, faint)
		text(left-5, y(v)+4, "end", fmt.Sprintf("%g s", v))
	}
	var way []string
	for _, p := range c.points {
		px, py := x(float64(p.n)), y(p.seconds)
		way = append(way, fmt.Sprintf("%.1f,%.1f", px, py))
		fmt.Fprintf(&s, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", px, py, line)
		text(px, top+plotHigh+14, "middle", fmt.Sprint(p.n))
	}
	fmt.Fprintf(&s, `<polyline points="%s" fill="none" stroke="%s" stroke-width="1.5"/>`+"\n", strings.Join(way, " "), line)
	return s.String()
}

// roundStep divides an axis into about five parts of a round size.
func roundStep(high float64) float64 {
	power := math.Pow(10, math.Floor(math.Log10(high/5)))
	for _, f := range []float64{1, 2, 5, 10} {
		if high/5 <= f*power {
			return f * power
		}
	}
	return 10 * power
}
