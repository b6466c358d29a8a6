package db

import (
	"context"

	"github.com/tandem-sync/tandem"
)

// IngestTogether is what IngestAndApply makes of calls that meet in one transaction.
func (s *Store) IngestTogether(ctx context.Context, provider string, events ...tandem.Event) ([]tandem.Ingested, []error) {
	var ds []*delivery
	for _, e := range events {
		ds = append(ds, &delivery{ctx: ctx, provider: provider, event: e, apply: true, done: make(chan struct{})})
	}
	s.deliveries.settle(ds)
	var out []tandem.Ingested
	var errs []error
	for _, d := range ds {
		out, errs = append(out, d.out), append(errs, d.err)
	}
	return out, errs
}
