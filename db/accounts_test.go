package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem/db/dbtest"
)

func TestMeetAccount(t *testing.T) {
	t.Parallel()
	store := dbtest.New(t, dbtest.Policy)
	for _, tt := range []struct{ provider, account, accepted, known string }{
		{"stripe", "acct_1", "", "acct_1"},
		{"stripe", "acct_1", "", "acct_1"},
		{"stripe", "acct_2", "", "acct_1"},
		{"stripe", "acct_2", "acct_3", "acct_1"}, // another one was accepted
		{"stripe", "acct_1", "acct_2", "acct_1"}, // the key was put right instead
		{"other", "acct_9", "", "acct_9"},
		{"stripe", "acct_2", "acct_2", "acct_2"},
		{"stripe", "acct_2", "", "acct_2"},
		{"stripe", "acct_1", "", "acct_2"},
	} {
		known, err := store.MeetAccount(t.Context(), tt.provider, tt.account, tt.accepted)
		require.NoError(t, err)
		require.Equal(t, tt.known, known, "%+v", tt)
	}
}
