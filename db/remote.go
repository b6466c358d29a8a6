package db

import (
	"context"
	"slices"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/chaos"
)

// ApplyRemote is the one function that takes remote state in: from events, answers, fetches and list pages. It decides
// every state with tandem.Decide, in the given order, and writes what was decided, all in one transaction with a
// number of statements that does not depend on the number of states. All states are of one provider.
//
// A state whose order is in doubt is left alone, its ledger rows included, and its outcome says Fetch.
func (s *Store) ApplyRemote(ctx context.Context, states []tandem.RemoteState, work tandem.Work) ([]tandem.Outcome, error) {
	if len(states) == 0 {
		return nil, nil
	}
	var out []tandem.Outcome
	err := s.inRace(ctx, func(tx *sqlx.Tx) error {
		w, err := s.load(ctx, tx, states, true)
		if err != nil {
			return err
		}
		b := newBatch()
		out = out[:0]
		for _, state := range states {
			out = append(out, w.apply(b, state, work))
		}
		if err := b.flush(ctx, tx); err != nil {
			return err
		}
		for i, o := range out {
			if m := w.byCustomer[o.CustomerID]; m != nil && m.ID == o.MappingID {
				out[i].MappingVersion = m.Version
			}
		}
		chaos.Point("apply.before_commit")
		return nil
	}, tandem.CodeExternalIDTaken)
	return out, err
}

// world is the part of the database that a batch of states can touch, as it is while the batch is being decided.
type world struct {
	policy     tandem.Policy
	customers  map[string]*tandem.Customer
	byExternal map[string]string          // external id → active customer
	byRemote   map[string]*tandem.Mapping // live mappings
	byCustomer map[string]*tandem.Mapping // live mappings
	ended      map[string]tandem.ArchivedReason
	tombstones map[string]bool
}

// load reads the world of these states, and of customers that are also wanted. With lock it holds every customer in it.
func (s *Store) load(ctx context.Context, tx *sqlx.Tx, states []tandem.RemoteState, lock bool, also ...string) (*world, error) {
	w := &world{
		policy: s.policy, customers: map[string]*tandem.Customer{}, byExternal: map[string]string{},
		byRemote: map[string]*tandem.Mapping{}, byCustomer: map[string]*tandem.Mapping{},
		ended: map[string]tandem.ArchivedReason{}, tombstones: map[string]bool{},
	}
	provider := states[0].Provider
	var remotes, externals []string
	named := also
	for _, state := range states {
		remotes = append(remotes, state.RemoteID)
		if id := state.NamedCustomer(s.policy.Environment); id != "" {
			named = append(named, id)
		}
		if id := state.Fields.Reserved[tandem.KeyExternalID]; id != "" {
			externals = append(externals, id)
		}
	}
	if lock {
		if err := lockRemotes(ctx, tx, provider, remotes); err != nil {
			return nil, err
		}
	}
	if err := w.loadCustomers(ctx, tx, provider, remotes, named, externals, lock); err != nil {
		return nil, err
	}
	if err := w.loadMappings(ctx, tx, provider, remotes); err != nil {
		return nil, err
	}
	var gone []string
	err := tx.SelectContext(ctx, &gone, `
		SELECT provider_entity_id FROM remote_tombstones
		WHERE provider_type = $1 AND entity_type = 'customer' AND provider_entity_id = ANY($2)`,
		provider, pq.Array(remotes))
	for _, id := range gone {
		w.tombstones[id] = true
	}
	return w, translate(err)
}

// lockRemotes has transactions about the same remote customer take turns. One that is not linked has no row to lock, and
// without this it could be deleted between our look and our link: the deletion would find nothing to end, and we would
// link what is gone. Always taken before any row and in one order, so that nobody waits in a circle.
func lockRemotes(ctx context.Context, tx *sqlx.Tx, provider string, remotes []string) error {
	_, err := tx.ExecContext(ctx, `
		SELECT pg_advisory_xact_lock(key)
		FROM (SELECT DISTINCT hashtextextended($1 || '/' || id, 0) AS key FROM unnest($2::text[]) id ORDER BY 1) remotes`,
		provider, pq.Array(remotes))
	return translate(err)
}

func (w *world) loadCustomers(ctx context.Context, tx *sqlx.Tx, provider string, remotes, named, externals []string, lock bool) error {
	query := `
		SELECT ` + customerColumns + `
		FROM customers c
		WHERE c.id IN (
		        SELECT m.entity_id FROM unnest($2::text[]) AS r (id)
		        CROSS JOIN LATERAL (SELECT * FROM entity_integration_mappings WHERE provider_entity_id = r.id OFFSET 0) m
		        WHERE m.provider_type = $1 AND m.entity_type = 'customer'
		        UNION ALL SELECT unnest($3::text[])
		        UNION ALL SELECT e.id FROM customers e WHERE e.external_id = ANY($4) AND e.status = 'active')
		ORDER BY c.id`
	if lock {
		query += ` FOR UPDATE`
	}
	var rows []customerRow
	err := tx.SelectContext(ctx, &rows, query, provider, pq.Array(remotes), pq.Array(named), pq.Array(externals))
	if err != nil {
		return translate(err)
	}
	for _, row := range rows {
		c, err := row.customer()
		if err != nil {
			return err
		}
		w.putCustomer(c)
	}
	return nil
}

// loadMappings reads the live mappings of the world's customers and all mappings of the remote customers. The look for
// each id is spelled out (LATERAL with OFFSET is not flattened), and it names one column, which one index serves: a
// planner without statistics would rather read the whole table, or another index from end to end.
func (w *world) loadMappings(ctx context.Context, tx *sqlx.Tx, provider string, remotes []string) error {
	ids := make([]string, 0, len(w.customers))
	for id := range w.customers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	var rows []mappingRow
	err := tx.SelectContext(ctx, &rows, `
		SELECT `+mappingColumns+`
		FROM (
		  SELECT a.* FROM unnest($2::text[]) AS c (id)
		  CROSS JOIN LATERAL (
		    SELECT * FROM entity_integration_mappings
		    WHERE entity_id = c.id OFFSET 0) a
		  WHERE a.provider_type = $1 AND a.entity_type = 'customer' AND a.archived_at IS NULL
		  UNION ALL
		  SELECT b.* FROM unnest($3::text[]) AS r (id)
		  CROSS JOIN LATERAL (
		    SELECT * FROM entity_integration_mappings
		    WHERE provider_entity_id = r.id OFFSET 0) b
		  WHERE b.provider_type = $1 AND b.entity_type = 'customer' AND (b.archived_at IS NOT NULL OR b.entity_id <> ALL($2::text[]))
		) m
		ORDER BY m.archived_at NULLS LAST`, provider, pq.Array(ids), pq.Array(remotes))
	if err != nil {
		return translate(err)
	}
	for _, row := range rows {
		m, err := row.mapping()
		if err != nil {
			return err
		}
		if _, ok := w.customers[m.CustomerID]; !ok {
			// Linked by somebody else after the customers were locked: start over with that customer too.
			return &tandem.Error{Class: tandem.Transient, Code: codeRace, Message: "the remote customer was linked at the same time"}
		}
		w.putMapping(&m)
	}
	return nil
}

func (w *world) putCustomer(c tandem.Customer) {
	if old := w.customers[c.ID]; old != nil && w.byExternal[old.ExternalID] == c.ID {
		delete(w.byExternal, old.ExternalID)
	}
	w.customers[c.ID] = &c
	if c.ExternalID != "" && c.Status == tandem.Active {
		w.byExternal[c.ExternalID] = c.ID
	}
}

func (w *world) putMapping(m *tandem.Mapping) {
	if m.State != tandem.Ended {
		w.byCustomer[m.CustomerID] = m
		if m.RemoteID != "" {
			w.byRemote[m.RemoteID] = m
		}
		return
	}
	w.ended[m.RemoteID] = m.ArchivedReason // rows come oldest end first, so the last one stays
	if live := w.byCustomer[m.CustomerID]; live != nil && live.ID == m.ID {
		delete(w.byCustomer, m.CustomerID)
		delete(w.byRemote, m.RemoteID)
	}
}

func (w *world) view(s tandem.RemoteState) tandem.View {
	v := tandem.View{Tombstone: w.tombstones[s.RemoteID]}
	if m := w.byRemote[s.RemoteID]; m != nil {
		v.Linked = w.pair(m.CustomerID)
	} else {
		v.Ended = w.ended[s.RemoteID]
	}
	v.Named = w.pair(s.NamedCustomer(w.policy.Environment))
	v.External = w.pair(w.byExternal[s.Fields.Reserved[tandem.KeyExternalID]])
	return v
}

func (w *world) pair(customerID string) *tandem.Pair {
	c := w.customers[customerID]
	if c == nil {
		return nil
	}
	return &tandem.Pair{Customer: *c, Mapping: w.byCustomer[customerID]}
}

// apply decides one state, collects the writes, and brings the world up to date for the next state.
func (w *world) apply(b *batch, s tandem.RemoteState, work tandem.Work) tandem.Outcome {
	d := tandem.Decide(s, w.view(s), w.policy)
	out := tandem.Outcome{State: d.State, Reason: d.Reason, RemoteID: s.RemoteID, Poke: d.Poke, Fetch: d.Act == tandem.ActFetch}
	if d.Mapping != nil {
		out.CustomerID, out.MappingID = d.Mapping.CustomerID, d.Mapping.ID
	}
	if out.Fetch {
		return out
	}
	w.take(b, s, &d, work)
	if d.Mapping != nil {
		out.CustomerID, out.MappingID = d.Mapping.CustomerID, d.Mapping.ID
	}
	for _, row := range s.EventRows {
		b.events = append(b.events, eventWrite{row, d.State, d.Reason})
	}
	return out
}

// take collects what was decided about a state.
func (w *world) take(b *batch, s tandem.RemoteState, d *tandem.Decision, work tandem.Work) {
	if s.Source == tandem.FromEvent && s.EventID != "" {
		work.Cause.ID = s.EventID // of a batch of events, each names itself
	}
	if s.Deleted {
		b.tombstones = append(b.tombstones, s)
		w.tombstones[s.RemoteID] = true
	}
	w.write(b, d, work)
}

// write collects what was decided, giving new rows their ids.
func (w *world) write(b *batch, d *tandem.Decision, work tandem.Work) {
	customerID := ""
	if d.Customer != nil {
		w.writeCustomer(b, d.Customer)
	}
	if d.Mapping != nil {
		if d.Customer != nil {
			d.Mapping.CustomerID = d.Customer.ID
		}
		b.putMapping(d.Mapping)
		w.putMapping(d.Mapping)
		customerID = d.Mapping.CustomerID
	}
	for _, e := range d.Journal {
		e.CustomerID, e.Work = customerID, work
		b.note(e)
	}
}

func (w *world) writeCustomer(b *batch, c *tandem.Customer) {
	if before := w.customers[c.ID]; before != nil {
		b.updateCustomer(*before, c)
	} else {
		b.insertCustomer(c)
	}
	w.putCustomer(*c)
}
