//go:build bench

package bench_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// baseline is what the others in this field do with a webhook, done as fast as this machine can: check the signature,
// read the customer, write one row, answer. There is no ledger, no journal, no mapping, no order and no intent that
// survives a crash. What Tandem does is held against it within one run.
func (s *stack) baseline(t *testing.T) sent {
	t.Helper()
	db, err := sql.Open("postgres", s.at.Database+"&binary_parameters=yes")
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)
	_, err = db.Exec(`CREATE SCHEMA baseline; CREATE TABLE baseline.customers (id text PRIMARY KEY, name text, email text, raw jsonb, updated_at timestamptz)`)
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := upsert(db, r); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	other := *s
	other.at.API = server.URL
	return other.round(t, "n", customers)
}

func upsert(db *sql.DB, r *http.Request) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	at, sig, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Stripe-Signature"), "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte("whsec_dev_tandem"))
	fmt.Fprintf(mac, "%s.%s", at, body)
	if fmt.Sprintf("%x", mac.Sum(nil)) != sig {
		return fmt.Errorf("forged")
	}
	var e struct {
		Data struct {
			Object json.RawMessage `json:"object"`
		} `json:"data"`
	}
	var c struct{ ID, Name, Email string }
	if err := json.Unmarshal(body, &e); err != nil {
		return err
	}
	if err := json.Unmarshal(e.Data.Object, &c); err != nil {
		return err
	}
	_, err = db.Exec(`
		INSERT INTO baseline.customers (id, name, email, raw, updated_at) VALUES ($1, $2, $3, $4, now())
		ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, raw = excluded.raw, updated_at = now()`,
		c.ID, c.Name, c.Email, string(e.Data.Object))
	return err
}
