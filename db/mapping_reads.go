package db

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"

	"github.com/tandem-sync/tandem"
)

// MappingByID reads one, ended ones too. Errors: CodeMappingNotFound.
func (s *Store) MappingByID(ctx context.Context, id string) (tandem.Mapping, error) {
	return oneMapping(ctx, s.db, `SELECT `+mappingColumns+` FROM entity_integration_mappings m WHERE m.id = $1`, id)
}

func oneMapping(ctx context.Context, q sqlx.QueryerContext, query string, args ...any) (tandem.Mapping, error) {
	var row mappingRow
	err := sqlx.GetContext(ctx, q, &row, query, args...)
	if errors.Is(err, sql.ErrNoRows) {
		return tandem.Mapping{}, notFound(tandem.CodeMappingNotFound, "this mapping")
	}
	if err != nil {
		return tandem.Mapping{}, translate(err)
	}
	return row.mapping()
}

// ListMappings reads one page, newest first: the live ones, or with tandem.Ended those that are not. What agrees or has
// ended has no error; saying so spares looking for one in a whole table of them.
func (s *Store) ListMappings(ctx context.Context, q tandem.MappingQuery) ([]tandem.Mapping, error) {
	var rows []mappingRow
	err := s.db.SelectContext(ctx, &rows, `
		SELECT `+mappingColumns+`
		FROM entity_integration_mappings m
		WHERE m.entity_type = 'customer'
		  AND ($1 = '' OR m.entity_id = $1)
		  AND ($2 = '' OR m.provider_type = $2)
		  AND ($3 = '' OR m.provider_entity_id = $3)
		  AND (($4 = '' AND m.archived_at IS NULL) OR m.state = $4)
		  AND ($5 = '' OR m.last_error->>'class' = $5 AND m.state <> 'synced' AND m.state <> 'archived')
		  AND ($6 = '' OR m.id < $6)
		ORDER BY m.id DESC
		LIMIT $7`,
		q.CustomerID, q.Provider, q.RemoteID, string(q.State), string(q.ErrorClass), q.After, q.Limit)
	if err != nil {
		return nil, translate(err)
	}
	return all(rows, mappingRow.mapping)
}

// SetMappingMetadata replaces what people keep on a mapping; the keys that Tandem writes stay, whatever is asked for.
// The version stays too: by it a look at the provider is told from an older one, and this is no news from there. Errors:
// CodeMappingNotFound.
func (s *Store) SetMappingMetadata(ctx context.Context, id string, metadata map[string]string) (tandem.Mapping, error) {
	var out tandem.Mapping
	err := s.inTx(ctx, func(tx *sqlx.Tx) error {
		m, err := oneMapping(ctx, tx, `SELECT `+mappingColumns+` FROM entity_integration_mappings m WHERE m.id = $1`, id)
		if err != nil {
			return err
		}
		// A sync that has read this row writes all of it back, and with the same version nothing would stop it: the
		// customer's lock keeps the two apart.
		if _, err := s.lockCustomer(ctx, tx, m.CustomerID); err != nil {
			return err
		}
		out, err = oneMapping(ctx, tx, `
			UPDATE entity_integration_mappings m
			SET metadata = ($2::jsonb - $3::text[]) || COALESCE(
			      (SELECT jsonb_object_agg(own.key, own.value) FROM jsonb_each(m.metadata) own WHERE own.key = ANY($3)), '{}'),
			    updated_at = now()
			WHERE m.id = $1
			RETURNING `+mappingColumns, id, jsonText(metadata, "{}"), pq.Array(tandem.OwnMetadata(m.Provider)))
		return err
	})
	return out, err
}
