package db

import (
	"context"
	"maps"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// reservations are pending mappings whose creates are claimed, written with one statement however many there are.
type reservations struct{ cols *columns }

func newReservations() reservations { return reservations{newColumns(9)} }

// add reserves the create of a customer that has no live mapping for this provider. The epoch goes on from where earlier
// mappings of the customer stopped: their keys may still be known over there, and would answer with a remote customer
// that is not wanted any more.
func (r reservations) add(p tandem.Policy, c tandem.Customer, provider string, epoch int) {
	m := tandem.Mapping{
		ID: newID("eim"), CustomerID: c.ID, Provider: provider, Epoch: epoch,
		Metadata: map[string]string{
			tandem.MetaSyncDirection: tandem.PlatformToProvider, tandem.MetaCreatedVia: tandem.ByAPI,
			provider + tandem.MetaCustomerEmail: c.Email, provider + tandem.MetaCustomerName: c.Name,
		},
	}
	maps.DeleteFunc(m.Metadata, func(_, v string) bool { return v == "" })
	action, body := tandem.PlanNext(c, m, p)
	r.cols.add(m.ID, c.ID, provider, strconv.Itoa(epoch), jsonText(m.Metadata, "{}"), string(action),
		tandem.CreateKey(p.Environment, c.ID, epoch), jsonText(body, "{}"), strconv.FormatInt(c.Version, 10))
}

func (r reservations) write(ctx context.Context, tx *sqlx.Tx) error {
	return r.cols.exec(ctx, tx, `
		INSERT INTO entity_integration_mappings (id, entity_id, provider_type, state, epoch, metadata, claim)
		SELECT id, entity_id, provider, 'pending', epoch::integer, metadata::jsonb,
		       jsonb_build_object('action', action, 'key', key, 'body', body::jsonb, 'version', version::bigint, 'at', now())
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[])
		     AS u (id, entity_id, provider, epoch, metadata, action, key, body, version)`)
}
