package db

import (
	"context"
	"embed"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema up to date and returns the names of the migrations it ran. Several processes may call it
// at once: a session lock in the database lets one run and the others wait, at most a minute.
func (s *Store) Migrate(ctx context.Context) ([]string, error) {
	provider, err := s.goose()
	if err != nil {
		return nil, err
	}
	results, err := provider.Up(ctx)
	var ran []string
	for _, r := range results {
		ran = append(ran, r.Source.Path)
	}
	if err != nil {
		return ran, fmt.Errorf("migrate: %w", err)
	}
	return ran, nil
}

// Migrated reports whether the schema is the one this program was built for.
func (s *Store) Migrated(ctx context.Context) error {
	provider, err := s.goose()
	if err != nil {
		return err
	}
	pending, err := provider.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if pending {
		return fmt.Errorf("the database schema is behind this program; run `tandem migrate`")
	}
	return nil
}

func (s *Store) goose() (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectPostgres, s.db.DB, files, goose.WithSessionLocker(locker))
}
