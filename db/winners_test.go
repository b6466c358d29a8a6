package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// People can send a choice past the API, too: one that names no field, or no side, decides nothing.
func TestResolveWithoutAWinnerIsRefused(t *testing.T) {
	t.Parallel()
	b, c := held(t, "cus_1")
	before := b.picture()
	for name, winners := range map[string]map[string]tandem.Winner{
		"nobody":                     nil,
		"a field without a winner":   {"name": ""},
		"a field that stays on hold": {"name": tandem.Hold},
		"a winner that nobody knows": {"name": "customer"},
		"a winner without a field":   {"": tandem.ProviderWins},
		"one good, one nameless":     {"name": tandem.PlatformWins, "": tandem.PlatformWins},
		"one good, one without":      {"name": tandem.PlatformWins, "address": ""},
	} {
		_, err := b.Resolve(b.ctx, resolution(c.ID, winners), byPerson)
		require.Error(t, err, name)
		requireCode(t, err, tandem.Invalid, tandem.CodeInvalidRequest)
	}
	require.Equal(t, before, b.picture())
}
