package db

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// customerColumns reads a customer; empty and NULL are the same value everywhere outside of SQL.
const customerColumns = `
	c.id, COALESCE(c.external_id, '') AS external_id, COALESCE(c.name, '') AS name, COALESCE(c.email, '') AS email,
	COALESCE(c.phone, '') AS phone, COALESCE(c.address_line1, '') AS address_line1,
	COALESCE(c.address_line2, '') AS address_line2, COALESCE(c.address_city, '') AS address_city,
	COALESCE(c.address_state, '') AS address_state, COALESCE(c.address_postal_code, '') AS address_postal_code,
	COALESCE(c.address_country, '') AS address_country, c.metadata, c.status, c.version, c.created_at, c.updated_at,
	c.archived_at`

type customerRow struct {
	ID         string       `db:"id"`
	ExternalID string       `db:"external_id"`
	Name       string       `db:"name"`
	Email      string       `db:"email"`
	Phone      string       `db:"phone"`
	Line1      string       `db:"address_line1"`
	Line2      string       `db:"address_line2"`
	City       string       `db:"address_city"`
	State      string       `db:"address_state"`
	PostalCode string       `db:"address_postal_code"`
	Country    string       `db:"address_country"`
	Metadata   []byte       `db:"metadata"`
	Status     string       `db:"status"`
	Version    int64        `db:"version"`
	CreatedAt  time.Time    `db:"created_at"`
	UpdatedAt  time.Time    `db:"updated_at"`
	ArchivedAt sql.NullTime `db:"archived_at"`
}

func (r customerRow) customer() (tandem.Customer, error) {
	c := tandem.Customer{
		ID: r.ID, ExternalID: r.ExternalID, Name: r.Name, Email: r.Email, Phone: r.Phone,
		Address: tandem.Address{Line1: r.Line1, Line2: r.Line2, City: r.City, State: r.State, PostalCode: r.PostalCode, Country: r.Country},
		Status:  tandem.Status(r.Status), Version: r.Version, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		ArchivedAt: timePtr(r.ArchivedAt),
	}
	return c, readJSON(r.Metadata, &c.Metadata, "customer metadata")
}

const mappingColumns = `
	m.id, m.entity_id, m.provider_type, COALESCE(m.provider_entity_id, '') AS provider_entity_id, m.state, m.base,
	m.as_of_from, m.as_of, m.claim, m.epoch, m.pushed_version, m.on_archive, m.conflicts, m.last_error, m.metadata, m.synced_at,
	m.version, m.created_at, m.updated_at, m.archived_at, COALESCE(m.archived_reason, '') AS archived_reason`

type mappingRow struct {
	ID             string       `db:"id"`
	EntityID       string       `db:"entity_id"`
	Provider       string       `db:"provider_type"`
	RemoteID       string       `db:"provider_entity_id"`
	State          string       `db:"state"`
	Base           []byte       `db:"base"`
	AsOfFrom       sql.NullTime `db:"as_of_from"`
	AsOf           sql.NullTime `db:"as_of"`
	Claim          []byte       `db:"claim"`
	Epoch          int          `db:"epoch"`
	Pushed         int64        `db:"pushed_version"`
	OnArchive      string       `db:"on_archive"`
	Conflicts      []byte       `db:"conflicts"`
	LastError      []byte       `db:"last_error"`
	Metadata       []byte       `db:"metadata"`
	SyncedAt       sql.NullTime `db:"synced_at"`
	Version        int64        `db:"version"`
	CreatedAt      time.Time    `db:"created_at"`
	UpdatedAt      time.Time    `db:"updated_at"`
	ArchivedAt     sql.NullTime `db:"archived_at"`
	ArchivedReason string       `db:"archived_reason"`
}

func (r mappingRow) mapping() (tandem.Mapping, error) {
	m := tandem.Mapping{
		ID: r.ID, CustomerID: r.EntityID, Provider: r.Provider, RemoteID: r.RemoteID, State: tandem.MappingState(r.State),
		AsOfFrom: r.AsOfFrom.Time.UTC(), AsOf: r.AsOf.Time.UTC(), Epoch: r.Epoch, Pushed: r.Pushed, OnArchive: tandem.RemoteWish(r.OnArchive),
		SyncedAt: timePtr(r.SyncedAt), Version: r.Version, CreatedAt: r.CreatedAt.UTC(), UpdatedAt: r.UpdatedAt.UTC(),
		ArchivedAt: timePtr(r.ArchivedAt), ArchivedReason: tandem.ArchivedReason(r.ArchivedReason),
	}
	for _, col := range []struct {
		raw  []byte
		into any
		name string
	}{
		{r.Base, &m.Base, "base"}, {r.Claim, &m.Claim, "claim"}, {r.Conflicts, &m.Conflicts, "conflicts"},
		{r.LastError, &m.LastError, "last_error"}, {r.Metadata, &m.Metadata, "metadata"},
	} {
		if err := readJSON(col.raw, col.into, "mapping "+col.name); err != nil {
			return m, err
		}
	}
	return m, nil
}

func readJSON(raw []byte, into any, what string) error {
	if len(raw) == 0 {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read %s: %w", what, err)
	}
	return nil
}

// jsonText is v for a jsonb parameter; nil pointers and nil maps become what the column's default means.
func jsonText(v any, empty string) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic("marshal for the database: " + err.Error()) // maps and structs of strings: cannot happen
	}
	if string(b) == "null" {
		return empty
	}
	return string(b)
}

func timePtr(t sql.NullTime) *time.Time {
	if !t.Valid {
		return nil
	}
	u := t.Time.UTC()
	return &u
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return string(pq.FormatTimestamp(t))
}

// all converts rows, stopping at the first that cannot be read.
func all[R, T any](rows []R, convert func(R) (T, error)) ([]T, error) {
	out := make([]T, 0, len(rows))
	for _, r := range rows {
		v, err := convert(r)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, nil
}
