package db

import (
	"context"
	"fmt"
	"strconv"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// batch collects what one transaction writes and writes it with one statement per table and kind, however many rows
// there are. A row that is written twice keeps its last value.
type batch struct {
	customers  map[string]*customerWrite
	mappings   map[string]*mappingWrite
	customerID []string // in the order they were added, which is the order they are written in
	mappingID  []string
	tombstones []tandem.RemoteState
	journal    []tandem.JournalEntry
	events     []eventWrite
}

type customerWrite struct {
	value   tandem.Customer
	version int64 // of the row being replaced; 0 inserts
}

type mappingWrite struct {
	value   tandem.Mapping
	version int64
}

type eventWrite struct {
	id     string
	state  tandem.EventState
	reason string
}

func newBatch() *batch {
	return &batch{customers: map[string]*customerWrite{}, mappings: map[string]*mappingWrite{}}
}

// insertCustomer gives a customer without an id one.
func (b *batch) insertCustomer(c *tandem.Customer) {
	if c.ID == "" {
		c.ID = newID("cust")
	}
	c.Version = 1
	b.putCustomer(*c, 0)
}

func (b *batch) updateCustomer(before tandem.Customer, after *tandem.Customer) {
	if w := b.customers[after.ID]; w != nil { // second change in this transaction: still one new version
		w.value = *after
		return
	}
	after.Version = before.Version + 1
	b.putCustomer(*after, before.Version)
}

func (b *batch) putCustomer(c tandem.Customer, replaces int64) {
	b.customers[c.ID] = &customerWrite{c, replaces}
	b.customerID = append(b.customerID, c.ID)
}

// putMapping inserts a mapping without an id, and replaces any other.
func (b *batch) putMapping(m *tandem.Mapping) {
	if w := b.mappings[m.ID]; w != nil {
		m.Version = w.value.Version
		w.value = *m
		return
	}
	replaces := m.Version
	if m.ID == "" {
		m.ID, replaces = newID("eim"), 0
	}
	m.Version = replaces + 1
	b.mappings[m.ID] = &mappingWrite{*m, replaces}
	b.mappingID = append(b.mappingID, m.ID)
}

func (b *batch) note(e tandem.JournalEntry) {
	e.ID = newID("jrn")
	if e.Work.Cause == (tandem.Cause{Kind: tandem.ByWebhook}) {
		e.Work.Cause.ID = b.lastEvent(e.CustomerID)
	}
	b.journal = append(b.journal, e)
}

// lastEvent names the event behind work that an event left to do. Whoever pokes Outbound may not know it, because the
// worker that took the event in has died since; the mapping, which is written together with every line about it, does.
func (b *batch) lastEvent(customerID string) string {
	for _, w := range b.mappings {
		if id := w.value.Metadata[tandem.MetaLastWebhookID]; w.value.CustomerID == customerID && id != "" {
			return id
		}
	}
	return ""
}

// flush writes. Customers go before mappings, whose foreign key points at them.
func (b *batch) flush(ctx context.Context, tx *sqlx.Tx) error {
	for _, write := range []func(context.Context, *sqlx.Tx) error{
		b.writeCustomers, b.writeMappings, b.writeTombstones, b.writeJournal, b.writeEvents,
	} {
		if err := write(ctx, tx); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) writeCustomers(ctx context.Context, tx *sqlx.Tx) error {
	inserts, updates := newColumns(13).upTo(len(b.customerID)), newColumns(13)
	for _, id := range b.customerID {
		w := b.customers[id]
		c := w.value
		cols := updates
		if w.version == 0 {
			cols = inserts
		}
		cols.add(c.ID, c.ExternalID, c.Name, c.Email, c.Phone, c.Address.Line1, c.Address.Line2, c.Address.City,
			c.Address.State, c.Address.PostalCode, c.Address.Country, jsonText(c.Metadata, "{}"), string(c.Status))
	}
	if err := inserts.exec(ctx, tx, insertCustomers); err != nil {
		return err
	}
	return updates.exec(ctx, tx, updateCustomers)
}

const customerUnnest = `
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
	            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[])
	     AS u (id, external_id, name, email, phone, line1, line2, city, state, postal_code, country, metadata, status)`

const insertCustomers = `
	INSERT INTO customers (id, external_id, name, email, phone, address_line1, address_line2, address_city,
	                       address_state, address_postal_code, address_country, metadata, status, archived_at)
	SELECT id, NULLIF(external_id, ''), NULLIF(name, ''), NULLIF(email, ''), NULLIF(phone, ''), NULLIF(line1, ''),
	       NULLIF(line2, ''), NULLIF(city, ''), NULLIF(state, ''), NULLIF(postal_code, ''), NULLIF(country, ''),
	       metadata::jsonb, status, CASE WHEN status = 'archived' THEN now() END` + customerUnnest

// The caller holds the rows, so there is no version to guard here.
const updateCustomers = `
	UPDATE customers c
	SET external_id = NULLIF(u.external_id, ''), name = NULLIF(u.name, ''), email = NULLIF(u.email, ''),
	    phone = NULLIF(u.phone, ''), address_line1 = NULLIF(u.line1, ''), address_line2 = NULLIF(u.line2, ''),
	    address_city = NULLIF(u.city, ''), address_state = NULLIF(u.state, ''),
	    address_postal_code = NULLIF(u.postal_code, ''), address_country = NULLIF(u.country, ''),
	    metadata = u.metadata::jsonb, status = u.status, version = c.version + 1, updated_at = now(),
	    archived_at = CASE WHEN u.status = 'archived' THEN COALESCE(c.archived_at, now()) END` + customerUnnest + `
	WHERE c.id = u.id`

func (b *batch) writeMappings(ctx context.Context, tx *sqlx.Tx) error {
	inserts, updates := newColumns(16).upTo(len(b.mappingID)), newColumns(16)
	for _, id := range b.mappingID {
		w := b.mappings[id]
		m := w.value
		cols := updates
		if w.version == 0 {
			cols = inserts
		}
		cols.add(m.ID, m.CustomerID, m.Provider, m.RemoteID, string(m.State), jsonText(m.Base, ""), timeText(m.AsOfFrom),
			timeText(m.AsOf), jsonText(m.Claim, ""), strconv.Itoa(m.Epoch), strconv.FormatInt(m.Pushed, 10),
			jsonText(m.Conflicts, "[]"), jsonText(m.LastError, ""), jsonText(m.Metadata, "{}"), string(m.ArchivedReason),
			strconv.FormatInt(w.version, 10))
	}
	if err := inserts.exec(ctx, tx, insertMappings); err != nil {
		return err
	}
	return updates.exec(ctx, tx, updateMappings)
}

const mappingUnnest = `
	FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
	            $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[], $16::text[])
	     AS u (id, entity_id, provider, remote_id, state, base, as_of_from, as_of, claim, epoch, pushed, conflicts,
	           last_error, metadata, reason, version)`

const insertMappings = `
	INSERT INTO entity_integration_mappings (id, entity_id, provider_type, provider_entity_id, state, base, as_of_from,
	                                         as_of, claim, epoch, pushed_version, conflicts, last_error, metadata, synced_at,
	                                         archived_reason, archived_at)
	SELECT id, entity_id, provider, NULLIF(remote_id, ''), state, NULLIF(base, '')::jsonb,
	       NULLIF(as_of_from, '')::timestamptz, NULLIF(as_of, '')::timestamptz, NULLIF(claim, '')::jsonb, epoch::integer,
	       pushed::bigint, conflicts::jsonb, NULLIF(last_error, '')::jsonb, metadata::jsonb,
	       CASE WHEN state = 'synced' THEN now() END, NULLIF(reason, ''), CASE WHEN state = 'archived' THEN now() END` + mappingUnnest

// The version guard is belt and braces: the caller holds the customer's row, so nobody else can have been here.
const updateMappings = `
	UPDATE entity_integration_mappings m
	SET provider_entity_id = NULLIF(u.remote_id, ''), state = u.state, base = NULLIF(u.base, '')::jsonb,
	    as_of_from = NULLIF(u.as_of_from, '')::timestamptz, as_of = NULLIF(u.as_of, '')::timestamptz,
	    claim = NULLIF(u.claim, '')::jsonb, epoch = u.epoch::integer, pushed_version = u.pushed::bigint,
	    conflicts = u.conflicts::jsonb, last_error = NULLIF(u.last_error, '')::jsonb, metadata = u.metadata::jsonb,
	    archived_reason = NULLIF(u.reason, ''), archived_at = CASE WHEN u.state = 'archived' THEN now() END,
	    synced_at = CASE WHEN u.state = 'synced' THEN now() ELSE m.synced_at END,
	    version = m.version + 1, updated_at = now()` + mappingUnnest + `
	WHERE m.id = u.id AND m.version = u.version::bigint`

func (b *batch) writeTombstones(ctx context.Context, tx *sqlx.Tx) error {
	cols := newColumns(3)
	for _, s := range b.tombstones {
		cols.add(s.Provider, s.RemoteID, timeText(s.SeenTo))
	}
	return cols.execAtMost(ctx, tx, `
		INSERT INTO remote_tombstones (provider_type, provider_entity_id, deleted_at)
		SELECT DISTINCT ON (1, 2) p, r, d::timestamptz FROM unnest($1::text[], $2::text[], $3::text[]) AS u (p, r, d)
		ON CONFLICT DO NOTHING`) // deleted once is deleted
}

func (b *batch) writeJournal(ctx context.Context, tx *sqlx.Tx) error {
	cols := newColumns(12).upTo(len(b.journal))
	for _, e := range b.journal {
		cols.add(e.ID, e.CustomerID, e.Provider, e.RemoteID, string(e.Direction), e.Action, e.Work.Cause.Kind,
			e.Work.Cause.ID, e.Work.WorkflowID, e.Work.RunID, jsonText(e.Changes, "[]"), e.Detail)
	}
	return cols.exec(ctx, tx, `
		INSERT INTO journal (id, entity_id, provider_type, provider_entity_id, direction, action, cause, cause_id,
		                     workflow_id, run_id, changes, detail)
		SELECT id, entity_id, NULLIF(provider, ''), NULLIF(remote_id, ''), direction, action, cause, cause_id,
		       workflow_id, run_id, changes::jsonb, detail
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[],
		            $9::text[], $10::text[], $11::text[], $12::text[])
		     AS u (id, entity_id, provider, remote_id, direction, action, cause, cause_id, workflow_id, run_id, changes, detail)`)
}

func (b *batch) writeEvents(ctx context.Context, tx *sqlx.Tx) error {
	cols := newColumns(3)
	for _, e := range b.events {
		cols.add(e.id, string(e.state), e.reason)
	}
	// A row that has an end keeps it: the second run of an act finds nothing to do.
	return cols.execAtMost(ctx, tx, `
		UPDATE provider_events e
		SET state = u.state, reason = `+fmt.Sprintf(keepsEnd, "u.reason")+`, processed_at = now()
		FROM unnest($1::text[], $2::text[], $3::text[]) AS u (id, state, reason)
		WHERE e.id = u.id AND e.state = 'received'`)
}
