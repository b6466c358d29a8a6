package activities

import (
	"context"
	"errors"
	"sync"

	"github.com/tandem-sync/tandem"
)

const (
	// queueAtOnce is how many waiting rows one step of a drain looks at.
	queueAtOnce = 1000
	// drainAtOnce bounds the events of one transaction. One customer's events are seldom many.
	drainAtOnce = 1000
	// handOversAtOnce bounds the workflows that are started at the same time.
	handOversAtOnce = 8
)

// QueueInput says where the last step ended.
type QueueInput struct {
	Provider string `json:"provider"`
	After    string `json:"after,omitempty"` // a ledger row
}

// Queue is a step of the waiting events: whom they are about.
type Queue struct {
	RemoteIDs []string `json:"remote_ids,omitempty"`
	Next      string   `json:"next,omitempty"` // empty: there were no more
}

// NextWaiting reads whom the next waiting events are about.
func (a *Activities) NextWaiting(ctx context.Context, in QueueInput) (Queue, error) {
	var q Queue
	var err error
	q.RemoteIDs, q.Next, err = a.Store.WaitingRemotes(ctx, in.Provider, in.After, queueAtOnce)
	return q, failed(ctx, err)
}

// DrainInput names the remote customers whose waiting events are to be applied.
type DrainInput struct {
	Provider  string   `json:"provider"`
	RemoteIDs []string `json:"remote_ids"`
}

// Drained is what a batch left to others.
type Drained struct {
	Applied int      `json:"applied"`
	Leave   []string `json:"leave,omitempty"` // remote customers that need a workflow of their own
	Poke    []string `json:"poke,omitempty"`  // customers with something left to do at the provider
	More    bool     `json:"more,omitempty"`  // there were more events than one transaction takes
}

// DrainEvents takes the waiting events of many remote customers in, each one's in their order. What cannot be settled
// without asking the provider, or not at all, is left to the Inbound workflow of its remote customer.
func (a *Activities) DrainEvents(ctx context.Context, in DrainInput) (Drained, error) {
	provider, err := a.Providers.Get(in.Provider)
	if err != nil {
		return Drained{}, failed(ctx, err)
	}
	rows, err := a.Store.Waiting(ctx, in.Provider, in.RemoteIDs, drainAtOnce)
	if err != nil {
		return Drained{}, failed(ctx, err)
	}
	states, unreadable := read(provider, rows)
	if err := a.Store.EndEvents(ctx, unreadable, tandem.EventParked, "unreadable"); err != nil {
		return Drained{}, failed(ctx, err)
	}
	d := drain{a: a, work: work(ctx, tandem.Cause{Kind: tandem.ByWebhook}), leave: map[string]bool{}}
	if err := d.apply(ctx, states); err != nil {
		return Drained{}, failed(ctx, err)
	}
	// Rows that no progress was made on must not bring the same batch back for ever.
	d.out.More = len(rows) == drainAtOnce && d.out.Applied+len(unreadable) > 0
	d.out.Poke, err = a.Store.Unfinished(ctx, in.Provider, in.RemoteIDs)
	return d.out, failed(ctx, err)
}

type drain struct {
	a     *Activities
	work  tandem.Work
	out   Drained
	leave map[string]bool
}

// apply halves a batch that the store refuses until the one state is found that it cannot take: that one waits for a
// person in a workflow of its own, and holds up no other.
func (d *drain) apply(ctx context.Context, states []tandem.RemoteState) error {
	if len(states) == 0 {
		return nil
	}
	outcomes, err := d.a.Store.ApplyRemote(ctx, states, d.work)
	switch class := tandem.ClassOf(err); {
	case err == nil:
		d.sum(states, outcomes)
		return nil
	case class == tandem.Transient || class == tandem.Ambiguous || ctx.Err() != nil:
		return err
	case len(states) == 1:
		d.a.Logger.Error("drain.left", "provider", states[0].Provider, "remote_id", states[0].RemoteID, "event_id", states[0].EventID,
			"class", class, "code", tandem.CodeOf(err))
		d.leaveTo(states[0].RemoteID)
		return nil
	}
	if err := d.apply(ctx, states[:len(states)/2]); err != nil {
		return err
	}
	return d.apply(ctx, states[len(states)/2:])
}

func (d *drain) sum(states []tandem.RemoteState, outcomes []tandem.Outcome) {
	for i, o := range outcomes {
		if o.Fetch {
			d.leaveTo(states[i].RemoteID)
			continue
		}
		d.out.Applied++
		d.a.taken(states[i], o)
	}
}

func (d *drain) leaveTo(remoteID string) {
	if !d.leave[remoteID] {
		d.leave[remoteID] = true
		d.out.Leave = append(d.out.Leave, remoteID)
	}
}

// HandOverInput names who has something left to do after a batch.
type HandOverInput struct {
	Provider  string   `json:"provider"`
	RemoteIDs []string `json:"remote_ids,omitempty"`
	Customers []string `json:"customers,omitempty"`
}

// HandOver starts the workflows of those a batch could not finish with, a few at a time.
func (a *Activities) HandOver(ctx context.Context, in HandOverInput) error {
	errs := make([]error, len(in.RemoteIDs)+len(in.Customers))
	slots := make(chan struct{}, handOversAtOnce)
	var all sync.WaitGroup
	start := func(i int, f func() error) {
		slots <- struct{}{}
		all.Go(func() {
			errs[i] = f()
			<-slots
		})
	}
	for i, id := range in.RemoteIDs {
		start(i, func() error { return a.Starter.Wake(ctx, in.Provider, id) })
	}
	for i, id := range in.Customers {
		start(len(in.RemoteIDs)+i, func() error {
			_, err := a.Starter.Sync(ctx, id, tandem.Cause{Kind: tandem.ByWebhook})
			return err
		})
	}
	all.Wait()
	return failed(ctx, errors.Join(errs...))
}
