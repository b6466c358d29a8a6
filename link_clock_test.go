package tandem_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

// The Date of the look that a link by hand is made on may be another machine's than the one that dates events. Without
// the tolerance an edit made right before the look would count as newer than it.
func TestDecideLinkAllowsForClocksApart(t *testing.T) {
	t.Parallel()
	fields := tandem.Fields{Name: "Ada", Email: "e"}
	for tolerance, wants := range map[time.Duration]map[int]tandem.Act{
		0:               {18: tandem.ActNone, 20: tandem.ActFetch, 21: tandem.ActMerge},
		time.Second:     {18: tandem.ActNone, 20: tandem.ActFetch, 21: tandem.ActFetch, 22: tandem.ActMerge},
		5 * time.Second: {18: tandem.ActNone, 21: tandem.ActFetch, 25: tandem.ActFetch, 26: tandem.ActMerge},
	} {
		p := policy
		p.ClockTolerance = tolerance
		look := with(fromFetch(20, fields), func(s *tandem.RemoteState) { s.SeenFrom = second(19) })
		pair := tandem.Pair{Customer: customer("cust_1", fields)}
		d := tandem.DecideLink(look, pair, tandem.PlatformWins, p)
		require.Equal(t, second(19), d.Mapping.AsOfFrom)
		require.Equal(t, second(20).Add(tolerance), d.Mapping.AsOf)
		require.Equal(t, second(20), look.SeenTo, "what was given is not touched")

		linked := tandem.Pair{Customer: pair.Customer, Mapping: d.Mapping}
		for n, act := range wants {
			e := fromEvent(n, tandem.Fields{Name: "Edited", Email: "e"})
			require.Equal(t, act, tandem.Decide(e, tandem.View{Linked: &linked}, p).Act, "an event of second %d, tolerance %s", n, tolerance)
		}
	}
}
