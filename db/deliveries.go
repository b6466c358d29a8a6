package db

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem"
)

// A transaction takes what has gathered while the one before was being committed. A second one at the same time keeps
// the processor busy while the first waits for the disk; it is worth its cost when many wait.
const (
	deliveriesAtOnce   = 64
	deliveriesWorthTwo = 12
	deliveryFlights    = 2
	deliveriesDeadline = 5 * time.Second
)

// deliveries gathers concurrent calls of Ingest. Nobody waits for company: a call that finds a free transaction has it.
type deliveries struct {
	write func(ctx context.Context, ds []*delivery) error

	mu      sync.Mutex
	waiting []*delivery
	flying  int
}

// delivery is one call of Ingest on its way through a shared transaction.
type delivery struct {
	ctx      context.Context // of the caller: one that has gone needs no answer
	provider string
	event    tandem.Event
	apply    bool // in the transaction that stores it

	out  tandem.Ingested
	err  error
	done chan struct{} // closed when out and err are set
}

// deliver waits until the delivery is written.
func (g *deliveries) deliver(d *delivery) (tandem.Ingested, error) {
	d.done = make(chan struct{})
	g.add(d)
	select {
	case <-d.done:
		return d.out, d.err
	case <-d.ctx.Done(): // it may be written all the same; the next delivery is counted on that row
		return tandem.Ingested{}, translate(d.ctx.Err())
	}
}

func (g *deliveries) add(d *delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = append(g.waiting, d)
	if g.flying == 0 || g.flying < deliveryFlights && len(g.waiting) >= deliveriesWorthTwo {
		g.flying++
		go g.fly()
	}
}

// fly writes until nothing waits.
func (g *deliveries) fly() {
	for ds := g.take(); len(ds) > 0; ds = g.take() {
		g.settle(ds)
	}
}

// take is the next deliveries of one provider and one kind; none ends the flight. Callers that have gone are passed over, so that
// what waits is bounded by who waits.
func (g *deliveries) take() []*delivery {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting = slices.DeleteFunc(g.waiting, func(d *delivery) bool { return d.ctx.Err() != nil })
	if len(g.waiting) == 0 {
		g.flying--
		return nil
	}
	var taken, left []*delivery
	first := g.waiting[0]
	for _, d := range g.waiting {
		if d.provider == first.provider && d.apply == first.apply && len(taken) < deliveriesAtOnce {
			taken = append(taken, d)
		} else {
			left = append(left, d)
		}
	}
	g.waiting = left
	return taken
}

// settle writes deliveries and answers their callers. When the database refuses the company it is halved, so that an
// event it cannot hold fails alone. What could not be applied, alone or because somebody is in the way, is stored as it is.
func (g *deliveries) settle(ds []*delivery) {
	err := g.attempt(ds)
	class := tandem.ClassOf(err)
	switch {
	case err == nil || class == tandem.Ambiguous:
	case ds[0].apply && (class == tandem.Transient || len(ds) == 1):
		for _, d := range ds {
			d.apply = false
		}
		g.settle(ds)
		return
	case class != tandem.Transient && len(ds) > 1:
		g.settle(ds[:len(ds)/2])
		g.settle(ds[len(ds)/2:])
		return
	}
	for _, d := range ds {
		d.err = err
		close(d.done)
	}
}

// attempt has a deadline of its own: the first caller's patience must not decide for the others.
func (g *deliveries) attempt(ds []*delivery) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ds[0].ctx), deliveriesDeadline)
	defer cancel()
	return g.write(ctx, ds)
}
