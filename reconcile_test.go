package tandem_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem"
)

func TestNextStep(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wish  tandem.RunWish
		steps []tandem.RunStep
	}{
		"an import":         {tandem.RunWish{Mode: tandem.ModeImport}, []tandem.RunStep{tandem.StepSend}},
		"an export":         {tandem.RunWish{Mode: tandem.ModeExport}, []tandem.RunStep{tandem.StepReserve, tandem.StepSend}},
		"a reconcile":       {tandem.RunWish{Mode: tandem.ModeReconcile}, []tandem.RunStep{tandem.StepAbsent, tandem.StepSend}},
		"by e-mail":         {tandem.RunWish{Mode: tandem.ModeImport, MatchEmail: true}, []tandem.RunStep{tandem.StepMatch, tandem.StepSend}},
		"a plan ends early": {tandem.RunWish{Mode: tandem.ModeImport, Plan: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var steps []tandem.RunStep
			for step := c.wish.Next(tandem.StepList); step != tandem.StepEnd; step = c.wish.Next(step) {
				steps = append(steps, step)
			}
			require.Equal(t, c.steps, steps)
		})
	}
}

// However often ranges are split, every second of what is left belongs to exactly one of them.
func TestSplit_loses_and_repeats_nothing(t *testing.T) {
	t.Parallel()
	oldest := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		first := tandem.Range{Last: oldest.Add(time.Duration(rapid.Int64Range(0, 1_000_000).Draw(t, "last")) * time.Second)}
		ranges := []tandem.Range{first}
		for range rapid.IntRange(0, 10).Draw(t, "splits") {
			i := rapid.IntRange(0, len(ranges)-1).Draw(t, "which")
			newer, older, ok := ranges[i].Split(oldest)
			if !ok {
				continue
			}
			if rapid.Bool().Draw(t, "walked") {
				older.Last = older.To.Add(-time.Second)
			}
			ranges[i] = newer
			ranges = append(ranges, older)
		}
		for range 20 {
			at := oldest.Add(time.Duration(rapid.Int64Range(-10, 1_000_000).Draw(t, "at")) * time.Second)
			if at.After(first.Last) {
				continue // walked before the first split
			}
			in := 0
			for _, r := range ranges {
				if !at.Before(r.From) && (r.To.IsZero() || at.Before(r.To)) {
					in++
				}
			}
			require.Equal(t, 1, in, "%s in %+v", at, ranges)
		}
	})
}

func TestJudge(t *testing.T) {
	t.Parallel()
	policy := tandem.Policy{Environment: "test"}
	at := time.Unix(2_000_000, 0).UTC()
	base := tandem.Fields{Name: "Ada", Email: "ada@example.org"}
	remote := tandem.RemoteState{Provider: "stripe", RemoteID: "cus_1", Source: tandem.FromList, SeenFrom: at, SeenTo: at, Fields: base}
	pair := func(change func(*tandem.Customer, *tandem.Mapping)) tandem.View {
		c := tandem.Customer{ID: "cust_1", Name: base.Name, Email: base.Email, Status: tandem.Active, Version: 1}
		m := tandem.Mapping{ID: "eim_1", CustomerID: c.ID, Provider: "stripe", RemoteID: "cus_1", State: tandem.Synced, Base: &base, AsOfFrom: at.Add(-time.Hour), AsOf: at.Add(-time.Hour)}
		if change != nil {
			change(&c, &m)
		}
		return tandem.View{Linked: &tandem.Pair{Customer: c, Mapping: &m}}
	}
	renamed := remote
	renamed.Fields.Name = "Ada L."
	for name, c := range map[string]struct {
		mode  tandem.Mode
		email bool
		state tandem.RemoteState
		view  tandem.View
		same  int
		kind  tandem.FindingKind
		do    bool
	}{
		"equal on both sides is no finding":            {tandem.ModeReconcile, false, remote, pair(nil), 0, "", false},
		"unknown here, and imports create":             {tandem.ModeImport, false, remote, tandem.View{}, 0, tandem.FoundCreated, true},
		"unknown here, and others do not":              {tandem.ModeReconcile, false, remote, tandem.View{}, 0, tandem.FoundUnlinked, false},
		"somebody here has that e-mail":                {tandem.ModeImport, true, remote, tandem.View{}, 1, tandem.FoundReview, false},
		"nobody has that e-mail":                       {tandem.ModeImport, true, remote, tandem.View{}, 0, tandem.FoundCreated, true},
		"e-mails count only for who asked for it":      {tandem.ModeImport, false, remote, tandem.View{}, 1, tandem.FoundCreated, true},
		"changed over there":                           {tandem.ModeReconcile, false, renamed, pair(nil), 0, tandem.FoundUpdated, true},
		"changed here, and nobody was told":            {tandem.ModeReconcile, false, remote, pair(func(c *tandem.Customer, _ *tandem.Mapping) { c.Phone = "+1" }), 0, tandem.FoundSent, true},
		"parked already":                               {tandem.ModeReconcile, false, remote, pair(func(_ *tandem.Customer, m *tandem.Mapping) { m.State, m.LastError = tandem.Parked, &tandem.LastError{} }), 0, tandem.FoundWaiting, false},
		"the order is in doubt":                        {tandem.ModeReconcile, false, renamed, pair(func(_ *tandem.Customer, m *tandem.Mapping) { m.AsOf = at }), 0, tandem.FoundReview, false},
		"deleted before stays deleted":                 {tandem.ModeImport, false, remote, tandem.View{Tombstone: true}, 0, tandem.FoundUnlinked, false},
		"taken apart by a person":                      {tandem.ModeImport, false, remote, tandem.View{Ended: tandem.Unlinked}, 0, tandem.FoundUnlinked, false},
		"an external id that another pair has":         {tandem.ModeImport, false, withExternal(remote), tandem.View{External: pair(nil).Linked}, 0, tandem.FoundConflict, false},
		"an external id that an unlinked customer has": {tandem.ModeReconcile, false, withExternal(remote), tandem.View{External: &tandem.Pair{Customer: tandem.Customer{ID: "cust_2", ExternalID: "x", Status: tandem.Active}}}, 0, tandem.FoundLinked, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := tandem.RunWish{Mode: c.mode, MatchEmail: c.email}.Judge(c.state, c.view, c.same, policy)
			require.Equal(t, c.kind, j.Kind, "%+v", j)
			require.Equal(t, c.do, j.Do, "%+v", j)
		})
	}
}

func withExternal(s tandem.RemoteState) tandem.RemoteState {
	s.Fields.Reserved = map[string]string{tandem.KeyExternalID: "x"}
	return s
}
