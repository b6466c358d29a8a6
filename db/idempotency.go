package db

import (
	"context"

	"github.com/jmoiron/sqlx"

	"github.com/tandem-sync/tandem"
)

// Reserve binds an Idempotency-Key to a customer id, once: whoever comes first decides the id, everybody else gets
// that one. Errors: CodeIdempotencyReused when the key came with another body before.
//
// Keys are kept for at least 48 hours; each call clears away a few that are older, so that the table stays bounded
// without a job of its own.
func (s *Store) Reserve(ctx context.Context, keyHash, bodyHash, customerID string) (tandem.Reservation, error) {
	_, err := s.db.ExecContext(ctx, `
		DELETE FROM idempotency_keys WHERE key_hash IN (
			SELECT key_hash FROM idempotency_keys
			WHERE created_at < now() - interval '48 hours'
			ORDER BY created_at LIMIT 10 FOR UPDATE SKIP LOCKED)`)
	if err != nil {
		return tandem.Reservation{}, translate(err)
	}
	var row struct {
		BodyHash   string `db:"body_hash"`
		CustomerID string `db:"customer_id"`
		Answer     []byte `db:"answer"`
	}
	// The update changes nothing: it makes RETURNING answer with the row that was there first.
	err = s.db.GetContext(ctx, &row, `
		INSERT INTO idempotency_keys (key_hash, body_hash, customer_id) VALUES ($1, $2, $3)
		ON CONFLICT (key_hash) DO UPDATE SET key_hash = excluded.key_hash
		RETURNING body_hash, customer_id, answer`, keyHash, bodyHash, customerID)
	if err != nil {
		return tandem.Reservation{}, translate(err)
	}
	if row.BodyHash != bodyHash {
		return tandem.Reservation{}, &tandem.Error{
			Class: tandem.Invalid, Code: tandem.CodeIdempotencyReused,
			Message: "this Idempotency-Key was used with another request body",
		}
	}
	r := tandem.Reservation{CustomerID: row.CustomerID}
	return r, readJSON(row.Answer, &r.Answer, "idempotent answer")
}

// keepAnswer stores what a create was answered with, in the transaction of the create.
func keepAnswer(ctx context.Context, tx *sqlx.Tx, keyHash string, c tandem.Customer) error {
	_, err := tx.ExecContext(ctx, `UPDATE idempotency_keys SET answer = $2 WHERE key_hash = $1`, keyHash, jsonText(c, ""))
	return err
}
