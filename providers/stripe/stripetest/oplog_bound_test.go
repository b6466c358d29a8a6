package stripetest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheLogForgetsItsBeginning(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	s.opsKept = 10
	for n := range 95 {
		s.mu.Lock()
		s.record(&Operation{Op: "list"})
		s.mu.Unlock()
		ops := s.Operations()
		require.GreaterOrEqual(t, len(ops), min(n+1, 10))
		require.Less(t, len(ops), 20)
		require.Equal(t, n+1, ops[len(ops)-1].Seq, "numbers go on")
		require.Equal(t, ops[len(ops)-1:], s.OperationsSince(n))
	}
	require.Equal(t, 95, s.State().Operations)
	require.Equal(t, map[string]int{"list": 95}, s.Counts())
}
