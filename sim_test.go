package tandem_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/simtest"
)

// TestSimulation runs the rules alone, over a store in memory; package db runs the same over Postgres.
func TestSimulation(t *testing.T) {
	t.Parallel()
	for _, story := range simtest.Stories() {
		t.Run(story.Name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) { story.Run(t, nil, 0) })
		})
	}
}
