package stripe

import (
	"context"

	"github.com/tandem-sync/tandem"
)

// Events implements tandem.Provider.
func (p *Provider) Events(ctx context.Context, q tandem.EventsQuery) (tandem.EventsPage, error) {
	return tandem.EventsPage{}, tandem.Errorf(tandem.Bug, tandem.CodeInternal, "not yet")
}
