package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows a run while it goes on.
type progress interface {
	show(r run)
	end()
}

func (c *call) newProgress() progress {
	switch {
	case c.json():
		return silence{} // what machines read is one answer
	case c.app.IsTerminal(c.out):
		return &bar{out: c.out}
	}
	return &lines{out: c.out}
}

type silence struct{}

func (silence) show(run) {}
func (silence) end()     {}

// lines are for logs: one whenever something has changed.
type lines struct {
	out  io.Writer
	last string
}

func (l *lines) show(r run) {
	line := r.progress()
	if line != l.last {
		_, _ = fmt.Fprintln(l.out, line) // a broken pipe must not end the following
	}
	l.last = line
}

func (*lines) end() {}

// progress says how far the run is, in the API's own figures: it may have begun long before anybody looked.
func (r run) progress() string {
	s := fmt.Sprintf("%s %s: %d customers, %.1f/s", clean(r.State), clean(r.Step), r.Counts.Customers, r.Rate)
	if r.SecondsLeft != nil {
		s += ", about " + (time.Duration(*r.SecondsLeft) * time.Second).String() + " left"
	}
	return s
}

// expected is how many customers the list has, as far as anybody knows; -1 if nobody does.
func (r run) expected() int {
	if r.SecondsLeft == nil {
		return -1
	}
	return r.Counts.Customers + int(float64(*r.SecondsLeft)*r.Rate)
}

// bar is for people: a bar while the whole is known, else something that moves.
type bar struct {
	out   io.Writer
	bar   *progressbar.ProgressBar
	known bool
}

func (b *bar) show(r run) {
	whole := r.expected()
	if b.bar == nil || b.known != (whole > 0) {
		b.end()
		b.known = whole > 0
		b.bar = progressbar.NewOptions(whole, progressbar.OptionSetWriter(b.out), progressbar.OptionSetPredictTime(false),
			progressbar.OptionSetElapsedTime(false), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
			progressbar.OptionSetRenderBlankState(true), progressbar.OptionFullWidth())
	}
	b.bar.Describe(r.progress())
	if b.known {
		b.bar.ChangeMax(max(whole, r.Counts.Customers+1)) // a full bar would say that the run has ended
	}
	_ = b.bar.Set(r.Counts.Customers) // writes to the terminal only
}

func (b *bar) end() {
	if b.bar != nil {
		_ = b.bar.Clear()
	}
}
