package books_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stretchr/testify/require"
)

// seed makes remote customers that have been there for long, some of them in the same second.
func (s *shelf) seed(from, to int) {
	s.t.Helper()
	for i := from; i < to; i++ {
		raw, err := json.Marshal(object{
			"id": seeded(i), "created": 1_600_000_000 + int64(i/3)*977, "name": fmt.Sprint("Person ", i), "email": fmt.Sprintf("p%d@example.org", i),
			"phone": fmt.Sprintf("+44 20 %06d", i), "metadata": object{"plan": "pro", "n": fmt.Sprint(i)},
			"address": object{"line1": fmt.Sprint(i, " Long Street"), "city": "Bath", "country": "GB"},
		})
		require.NoError(s.t, err)
		require.NoError(s.t, s.server.Seed(raw))
	}
}

func seeded(i int) string { return fmt.Sprintf("cus_seed%06d", i) }

// platform writes customers as a platform has them that existed before Tandem did.
func (s *shelf) platform(n int) {
	s.t.Helper()
	_, err := s.db.Exec(`
		INSERT INTO customers (id, external_id, name, email)
		SELECT 'cust_' || lpad(i::text, 26, '0'), 'ext-' || i, 'Own ' || i, 'own' || i || '@example.org' FROM generate_series(1, $1) i`, n)
	require.NoError(s.t, err)
}

type row struct {
	ID       string `db:"id"`
	RemoteID string `db:"remote_id"`
	Name     string `db:"name"`
	Email    string `db:"email"`
	Phone    string `db:"phone"`
	Line1    string `db:"line1"`
	Metadata []byte `db:"metadata"`
}

// unequal names what speaks against both sides being the same; nothing if they are: every live remote customer has one
// active customer with the same fields, and nobody is left over.
func (s *shelf) unequal() string {
	s.t.Helper()
	var rows []row
	require.NoError(s.t, s.db.Select(&rows, `
		SELECT c.id, COALESCE(m.provider_entity_id, '') AS remote_id, COALESCE(c.name, '') AS name, COALESCE(c.email, '') AS email,
		       COALESCE(c.phone, '') AS phone, COALESCE(c.address_line1, '') AS line1, c.metadata
		FROM customers c LEFT JOIN entity_integration_mappings m ON m.entity_id = c.id AND m.archived_at IS NULL
		WHERE c.status = 'active'`))
	here := map[string]string{}
	var wrong []string
	for _, r := range rows {
		var meta map[string]string
		require.NoError(s.t, json.Unmarshal(r.Metadata, &meta))
		if r.RemoteID == "" || here[r.RemoteID] != "" {
			wrong = append(wrong, fmt.Sprintf("%s has remote customer %q", r.ID, r.RemoteID))
			continue
		}
		here[r.RemoteID] = line(r.Name, r.Email, r.Phone, r.Line1, meta)
	}
	for _, c := range s.server.Customers() {
		if c.Deleted {
			continue
		}
		meta := maps.Clone(c.Metadata)
		maps.DeleteFunc(meta, func(k, _ string) bool { return strings.HasPrefix(k, "flexprice_") || k == "external_id" })
		if there := line(c.Name, c.Email, c.Phone, c.Address["line1"], meta); there != here[c.ID] {
			wrong = append(wrong, fmt.Sprintf("%s: there %s, here %s", c.ID, there, here[c.ID]))
		}
		delete(here, c.ID)
	}
	for id := range here {
		wrong = append(wrong, id+" is here only")
	}
	slices.Sort(wrong)
	return strings.Join(wrong[:min(len(wrong), 5)], "\n")
}

func line(name, email, phone, line1 string, meta map[string]string) string {
	raw, _ := json.Marshal(meta) // of texts: cannot fail
	if len(meta) == 0 {
		raw = nil
	}
	return strings.Join([]string{name, email, phone, line1, string(raw)}, "|")
}

// versions changes whenever a row of the customers or the mappings is written, even with the same values.
func (s *shelf) versions() (digest string) {
	s.t.Helper()
	require.NoError(s.t, s.db.Get(&digest, `
		SELECT COALESCE(md5(string_agg(x, ',' ORDER BY x)), '') FROM (
		  SELECT id || xmin::text || ctid::text AS x FROM customers UNION ALL
		  SELECT id || xmin::text || ctid::text FROM entity_integration_mappings UNION ALL SELECT id FROM journal) all_rows`))
	return digest
}
