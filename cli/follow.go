package cli

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// patience is how many looks in a row may fail before following ends: a restart of the API is no news of the run.
const patience = 30

// follow stays with a run until it has ended, or needs a person. That it is left, by whatever end of this process, does
// not touch the run.
func (c *call) follow(id string) error {
	p := c.newProgress()
	failed := 0
	for {
		var r run
		raw, err := c.get(c.ctx, pathRuns+"/"+segment(id), nil, &r)
		switch {
		case c.ctx.Err() != nil:
			return c.leave(p, id)
		case err == nil && r.State == runRunning:
			failed = 0
			p.show(r)
		case err == nil:
			p.show(r)
			p.end()
			return c.ended(r, raw)
		case !passing(err) || failed == patience:
			p.end()
			return fmt.Errorf("look at %s, which may well go on: %w", id, err)
		default:
			failed++
		}
		select {
		case <-time.After(c.app.Poll):
		case <-c.ctx.Done():
			return c.leave(p, id)
		}
	}
}

func (c *call) leave(p progress, id string) error {
	p.end()
	return &exitError{ExitInterrupted, fmt.Errorf(
		"the run goes on. Look at it with: tandem runs show %s --follow; end it with: tandem runs cancel %s", id, id)}
}

// ended prints what became of the run, and says whether a person is needed.
func (c *call) ended(r run, raw []byte) error {
	var err error
	if c.json() {
		err = c.raw(raw)
	} else {
		err = c.showRun(r)
	}
	return errors.Join(err, verdict(r))
}

func verdict(r run) error {
	person := func(format string, args ...any) error { return &exitError{ExitPerson, fmt.Errorf(format, args...)} }
	switch {
	case r.State == runPaused && r.LastError != nil:
		return person("the run is paused: %s; go on with: tandem runs resume %s", clean(r.LastError.Message), r.ID)
	case r.State == runPaused:
		return person("the run is paused; go on with: tandem runs resume %s", r.ID)
	case r.State != runDone:
		return person("the run was %s", clean(r.State))
	}
	var open []string
	for _, n := range []struct {
		count int
		kind  string
	}{{r.Counts.Conflicts, "conflict"}, {r.Counts.Rejected, "rejected"}, {r.Counts.Review, "review"}} {
		if n.count > 0 {
			open = append(open, fmt.Sprintf("%d %s", n.count, n.kind))
		}
	}
	if len(open) > 0 {
		return person("a person should look: %s; see them with: tandem runs findings %s --kind …", strings.Join(open, ", "), r.ID)
	}
	return nil
}
