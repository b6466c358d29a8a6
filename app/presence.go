package app

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	// presenceEvery is between two looks whether Temporal is there, absenceEvery while it is not.
	presenceEvery = 5 * time.Second
	absenceEvery  = time.Second
	// patience is how long a change waits for a Temporal that is known to be away: it may have come back a moment ago.
	patience = time.Second
	// breath is between two attempts within a caller's patience.
	breath = 50 * time.Millisecond
	// longestReconnect is the longest pause between two attempts to connect. The SDK's ten seconds are longer than a
	// caller waits, so that the first change after an outage would be refused.
	longestReconnect = 300 * time.Millisecond
)

// presence knows whether Temporal answered when last asked, and tells of each change once.
type presence struct {
	check   func(ctx context.Context) error
	address string
	log     *slog.Logger
	asking  singleflight.Group

	mu   sync.Mutex
	away error
}

// reachable answers at once while Temporal is known to be there, and within a second otherwise. It is what changes are
// held against.
func (p *presence) reachable(ctx context.Context) error {
	if p.last() == nil {
		return nil
	}
	answer := p.asking.DoChan("", func() (any, error) {
		ctx, cancel := context.WithTimeout(context.Background(), patience) // it is everybody's, not the first caller's
		defer cancel()
		return nil, p.note(p.insist(ctx))
	})
	select {
	case a := <-answer:
		return a.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// insist asks until Temporal answers or ctx ends: a refused connection is an answer within a millisecond.
func (p *presence) insist(ctx context.Context) error {
	for {
		err := p.check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(breath):
		}
	}
}

// look asks once more before it believes that Temporal is away: one late answer of a busy machine is no outage.
func (p *presence) look(ctx context.Context) error {
	err := p.check(ctx)
	if err != nil && p.last() == nil {
		err = p.check(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err() // the process stops: this says nothing about Temporal
	}
	return p.note(err)
}

// watch looks until ctx ends.
func (p *presence) watch(ctx context.Context) {
	for {
		pause := presenceEvery
		if p.look(ctx) != nil {
			pause = absenceEvery
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (p *presence) last() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.away
}

func (p *presence) note(err error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && p.away == nil:
		p.log.Error("temporal.away", "address", p.address, "error", err)
	case err == nil && p.away != nil:
		p.log.Info("temporal.back", "address", p.address)
	}
	p.away = err
	return err
}

// polled remembers for a while whether workers were seen, so that probes, however many, cost next to nothing.
type polled struct {
	look func(ctx context.Context) (bool, error)
	now  func() time.Time

	mu    sync.Mutex
	until time.Time
	err   error
}

const (
	seenFor    = 5 * time.Second        // that there are workers holds for so long
	missingFor = 250 * time.Millisecond // that there are none: they may come any moment
	lookFor    = time.Second            // a look is not waited for longer
)

var errNoWorker = errors.New("no worker has asked for work in the last minute: changes and events are stored and wait")

// check says that no worker polls. A look that fails says nothing: that Temporal is away is for its own check to say.
func (p *polled) check(ctx context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now().Before(p.until) {
		return p.err
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	seen, err := p.look(ctx)
	if err != nil {
		return nil
	}
	p.err, p.until = nil, p.now().Add(seenFor)
	if !seen {
		p.err, p.until = errNoWorker, p.now().Add(missingFor)
	}
	return p.err
}
