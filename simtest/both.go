package simtest

import (
	"context"
	"strings"

	"github.com/tandem-sync/tandem"
)

// both does everything twice: on a real store and in memory. They have to answer the same, and whenever somebody looks,
// to hold the same rows. Ids are made by the real one.
type both struct {
	*Memory
	real Store
	fail func(format string, args ...any)
}

func (b *both) Arm(f Fault) {
	b.real.Arm(f)
	b.Memory.Arm(f)
}

// write runs a transaction on both and compares. What the real one has made is made in memory under the same ids.
func write[T any](ctx context.Context, b *both, what string, act func(s Store) (T, error)) (T, error) {
	return twice(b, what, act, func() {
		ids, err := b.real.IDs(ctx)
		if err != nil {
			b.fail("ids: %v", err)
		}
		b.adopt(ids)
	})
}

func read[T any](b *both, what string, act func(s Store) (T, error)) (T, error) {
	return twice(b, what, act, func() {})
}

func twice[T any](b *both, what string, act func(s Store) (T, error), between func()) (T, error) {
	real, realErr := act(b.real)
	between()
	model, modelErr := act(b.Memory)
	switch {
	case tandem.ClassOf(realErr) != tandem.ClassOf(modelErr) || tandem.CodeOf(realErr) != tandem.CodeOf(modelErr):
		b.fail("%s: the store says %v, it should say %v", what, realErr, modelErr)
	case realErr == nil && text(real) != text(model):
		b.fail("%s: the store says\n%s\nit should say\n%s", what, text(real), text(model))
	case len(b.ids) > 0:
		b.fail("%s: the store has made %v, which nobody expects", what, b.ids)
	}
	return real, realErr
}

func (b *both) ApplyChange(ctx context.Context, ch tandem.Change, work tandem.Work) (tandem.Customer, error) {
	return write(ctx, b, "change", func(s Store) (tandem.Customer, error) {
		c, err := s.ApplyChange(ctx, ch, work)
		return Rows{Customers: []tandem.Customer{c}}.timeless().Customers[0], err
	})
}

func (b *both) Plan(ctx context.Context, customerID, provider string, ask tandem.Ask) (tandem.Call, error) {
	return write(ctx, b, "plan", func(s Store) (tandem.Call, error) {
		call, err := s.Plan(ctx, customerID, provider, ask)
		call.FrozenAt = epoch // the database's clock is not simulated
		return call, err
	})
}

func (b *both) Resolve(ctx context.Context, r tandem.Resolve, work tandem.Work) (tandem.Mapping, error) {
	return write(ctx, b, "resolve", func(s Store) (tandem.Mapping, error) {
		m, err := s.Resolve(ctx, r, work)
		return Rows{Mappings: []tandem.Mapping{m}}.timeless().Mappings[0], err
	})
}

func (b *both) ApplyRemote(ctx context.Context, states []tandem.RemoteState, work tandem.Work) ([]tandem.Outcome, error) {
	return write(ctx, b, "apply", func(s Store) ([]tandem.Outcome, error) { return s.ApplyRemote(ctx, states, work) })
}

func (b *both) Ingest(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	return write(ctx, b, "ingest", func(s Store) (tandem.Ingested, error) { return s.Ingest(ctx, provider, e) })
}

func (b *both) IngestAndApply(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error) {
	return write(ctx, b, "ingest and apply", func(s Store) (tandem.Ingested, error) { return s.IngestAndApply(ctx, provider, e) })
}

func (b *both) Waiting(ctx context.Context, provider string, remoteIDs []string, limit int) ([]tandem.LedgerRow, error) {
	return read(b, "waiting", func(s Store) ([]tandem.LedgerRow, error) {
		rows, err := s.Waiting(ctx, provider, remoteIDs, limit)
		out := make([]tandem.LedgerRow, 0, len(rows))
		for _, r := range rows { // what it is read for; ListEvents tells the rest
			out = append(out, tandem.LedgerRow{ID: r.ID, EventID: r.EventID, Type: r.Type, ObjectID: r.ObjectID, Created: r.Created, State: r.State})
		}
		return out, err
	})
}

func (b *both) Unfinished(ctx context.Context, provider string, remoteIDs []string) ([]string, error) {
	return read(b, "unfinished", func(s Store) ([]string, error) { return s.Unfinished(ctx, provider, remoteIDs) })
}

// Look compares all rows.
func (b *both) Look(ctx context.Context) (Rows, error) {
	model, err := b.Memory.Look(ctx)
	if err != nil {
		return model, err
	}
	real, err := b.real.Look(ctx)
	if err == nil {
		if is, should := differing(real.lines(), model.lines()); is != should {
			b.fail("the store holds\n%s\nit should hold\n%s", is, should)
		}
	}
	return model, err
}

// lines is one row a line.
func (r Rows) lines() []string {
	var out []string
	r = r.timeless()
	for _, c := range r.Customers {
		out = append(out, text(c))
	}
	for _, m := range r.Mappings {
		out = append(out, text(m))
	}
	for _, e := range r.Events {
		out = append(out, text(e))
	}
	for _, e := range r.Journal {
		out = append(out, text(e))
	}
	return append(out, text(r.Tombstones))
}

// differing leaves out the lines that both begin and end with.
func differing(is, should []string) (string, string) {
	for len(is) > 0 && len(should) > 0 && is[0] == should[0] {
		is, should = is[1:], should[1:]
	}
	for len(is) > 0 && len(should) > 0 && is[len(is)-1] == should[len(should)-1] {
		is, should = is[:len(is)-1], should[:len(should)-1]
	}
	return strings.Join(is, "\n"), strings.Join(should, "\n")
}
