package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// Customer reads one, archived ones too. Errors: CodeCustomerNotFound.
func (s *Store) Customer(ctx context.Context, id string) (tandem.Customer, error) {
	return s.oneCustomer(ctx, s.db, `SELECT `+customerColumns+` FROM customers c WHERE c.id = $1`, id)
}

// CustomerByExternalID reads the active customer with that external id. Errors: CodeCustomerNotFound.
func (s *Store) CustomerByExternalID(ctx context.Context, externalID string) (tandem.Customer, error) {
	return s.oneCustomer(ctx, s.db,
		`SELECT `+customerColumns+` FROM customers c WHERE c.external_id = $1 AND c.status = 'active'`, externalID)
}

func (s *Store) oneCustomer(ctx context.Context, q sqlx.QueryerContext, query string, args ...any) (tandem.Customer, error) {
	var row customerRow
	err := sqlx.GetContext(ctx, q, &row, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return tandem.Customer{}, notFound(tandem.CodeCustomerNotFound, "this customer")
	}
	if err != nil {
		return tandem.Customer{}, translate(err)
	}
	return row.customer()
}

// Customers reads one page, newest first. A filter on the mapping looks at live mappings only.
func (s *Store) Customers(ctx context.Context, q tandem.CustomerQuery) ([]tandem.Customer, error) {
	args := []any{q.Email, q.ExternalID, string(q.Status), q.After, q.Limit}
	linked := ""
	if q.State != "" || q.ProviderEntityID != "" {
		// Only in a query of its own can the planner begin with the mappings; behind an OR it has to try every customer.
		linked = `
		  AND c.id IN (
		        SELECT m.entity_id FROM entity_integration_mappings m
		        WHERE m.archived_at IS NULL
		          AND ($6 = '' OR m.state = $6)
		          AND ($7 = '' OR m.provider_entity_id = $7))`
		args = append(args, string(q.State), q.ProviderEntityID)
	}
	var rows []customerRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+customerColumns+`
		FROM customers c
		WHERE ($1 = '' OR c.email = $1)
		  AND ($2 = '' OR c.external_id = $2)
		  AND ($3 = '' OR c.status = $3)
		  AND ($4 = '' OR c.id < $4)`+linked+`
		ORDER BY c.id DESC
		LIMIT $5`, args...)
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, customerRow.customer)
}

// Mappings reads the mappings of these customers: for each customer and provider the live one, else the one that
// ended last.
func (s *Store) Mappings(ctx context.Context, customerIDs []string) ([]tandem.Mapping, error) {
	var rows []mappingRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT DISTINCT ON (m.entity_id, m.provider_type) `+mappingColumns+`
		FROM entity_integration_mappings m
		WHERE m.entity_id = ANY($1)
		ORDER BY m.entity_id, m.provider_type, m.archived_at DESC NULLS FIRST`,
		pq.Array(customerIDs))
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, mappingRow.mapping)
}

// lockCustomer reads a customer and holds its row: see the package comment.
func (s *Store) lockCustomer(ctx context.Context, tx *sqlx.Tx, id string) (tandem.Customer, error) {
	return s.oneCustomer(ctx, tx, `SELECT `+customerColumns+` FROM customers c WHERE c.id = $1 FOR UPDATE`, id)
}

// liveMapping reads the customer's live mapping; nil when there is none.
func liveMapping(ctx context.Context, tx *sqlx.Tx, customerID, provider string) (*tandem.Mapping, error) {
	var row mappingRow
	err := tx.GetContext(ctx, &row, `
		SELECT `+mappingColumns+`
		FROM entity_integration_mappings m
		WHERE m.entity_type = 'customer' AND m.entity_id = $1 AND m.provider_type = $2 AND m.archived_at IS NULL`,
		customerID, provider)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, translate(err)
	}
	m, err := row.mapping()
	return &m, err
}
