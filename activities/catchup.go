package activities

import (
	"context"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/tandem-sync/tandem"
)

const (
	// catchUpOverlap is how far each reading of the events goes back behind the one before: an event may become visible
	// later than its time says. What is read twice is known by its id.
	catchUpOverlap = 5 * time.Minute
	// webhookPatience is how old an event may be before its webhook is missed.
	webhookPatience = 2 * time.Minute
	// eventsRemembered is how long Stripe lists events (docs: List all events, "up to 30 days").
	eventsRemembered = 30 * 24 * time.Hour
	// eventPagesAtMost bounds one reading: a million events.
	eventPagesAtMost = 10_000
)

// CatchUpInput names whose events to read.
type CatchUpInput struct {
	Provider string `json:"provider"`
}

// eventsRead is how far a reading has come; a heartbeat carries it to the next attempt.
type eventsRead struct {
	From   time.Time `json:"from"`
	SeenAt time.Time `json:"seen_at"` // of the first page: what comes after it is the next reading's
	Cursor string    `json:"cursor"`
	Found  int       `json:"found"`
	Missed int       `json:"missed"`
}

// CatchUp reads the provider's own list of events from where the last reading ended, and puts into the ledger what no
// webhook has brought. Reading is newest first, so the place is moved when all of it has been read, not before.
func (a *Activities) CatchUp(ctx context.Context, in CatchUpInput) (tandem.CatchUp, error) {
	provider, err := a.Providers.Get(in.Provider)
	if err != nil {
		return tandem.CatchUp{}, failed(ctx, err)
	}
	known, err := a.Store.CatchUp(ctx, in.Provider)
	if err != nil {
		return known, failed(ctx, err)
	}
	read, err := a.readEvents(ctx, provider, known)
	if err != nil {
		return known, failed(ctx, err)
	}
	if read.Found > 0 {
		if err := a.Starter.Drain(ctx, in.Provider); err != nil {
			return known, failed(ctx, err)
		}
	}
	next := tandem.CatchUp{Provider: in.Provider, UpTo: read.SeenAt, CheckedAt: time.Now().UTC(), Missed: read.Missed, GapSince: known.GapSince}
	if !known.UpTo.IsZero() && read.SeenAt.Sub(known.UpTo) > eventsRemembered && next.GapSince == nil {
		next.GapSince = &known.UpTo
		a.Logger.Error("catch_up.reconcile_needed", "provider", in.Provider, "since", known.UpTo)
	}
	if read.Missed > 0 {
		a.Logger.Warn("catch_up.webhooks_missed", "provider", in.Provider, "events", read.Missed)
	}
	return next, failed(ctx, a.Store.SaveCatchUp(ctx, next))
}

func (a *Activities) readEvents(ctx context.Context, p tandem.Provider, known tandem.CatchUp) (eventsRead, error) {
	var read eventsRead
	if !activity.HasHeartbeatDetails(ctx) || activity.GetHeartbeatDetails(ctx, &read) != nil || read.SeenAt.IsZero() {
		read = eventsRead{From: known.UpTo.Add(-catchUpOverlap)}
		if known.UpTo.IsZero() { // the beginning: what was before is an import's business
			read.From = time.Now().Add(-catchUpOverlap)
		}
	}
	for range eventPagesAtMost {
		if err := a.pace(ctx, p.Name()); err != nil {
			return read, err
		}
		begun := time.Now()
		page, err := p.Events(ctx, tandem.EventsQuery{From: read.From, Cursor: read.Cursor, Limit: 100})
		a.Metrics.ProviderCall(p.Name(), "events", classOf(err), time.Since(begun))
		if err != nil {
			return read, err
		}
		fresh, err := a.Store.IngestFound(ctx, p.Name(), page.Items)
		if err != nil {
			return read, err
		}
		if read.SeenAt.IsZero() {
			read.SeenAt = page.SeenAt
		}
		read.Found += len(fresh)
		for _, e := range fresh {
			if read.SeenAt.Sub(e.Created) > webhookPatience {
				read.Missed++
			}
		}
		if page.Next == "" {
			return read, nil
		}
		read.Cursor = page.Next
		activity.RecordHeartbeat(ctx, read)
	}
	return read, tandem.Errorf(tandem.Bug, tandem.CodeInternal, "the list of events has no end")
}
