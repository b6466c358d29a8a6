package tandem_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem"
)

func someText() *rapid.Generator[string] {
	return rapid.SampledFrom([]string{"", "a", "b", "c", " a ", "A"})
}

func someFields() *rapid.Generator[tandem.Fields] {
	return rapid.Custom(func(t *rapid.T) tandem.Fields {
		return tandem.Fields{
			Name: someText().Draw(t, "name"), Email: someText().Draw(t, "email"), Phone: someText().Draw(t, "phone"),
			Address:  tandem.Address{Line1: someText().Draw(t, "line1"), Country: rapid.SampledFrom([]string{"", "GB", "gb", "FR"}).Draw(t, "country")},
			Metadata: rapid.MapOfN(rapid.SampledFrom([]string{"k", "l", "m"}), someText(), 0, 3).Draw(t, "metadata"),
		}
	})
}

func somePolicy() *rapid.Generator[tandem.MergePolicy] {
	policies := rapid.Custom(func(t *rapid.T) tandem.FieldPolicy {
		return tandem.FieldPolicy{
			Owner:    rapid.SampledFrom([]tandem.Owner{"", tandem.OwnedByBoth, tandem.OwnedByPlatform, tandem.OwnedByProvider, tandem.NotSynced}).Draw(t, "owner"),
			Conflict: rapid.SampledFrom([]tandem.Winner{"", tandem.PlatformWins, tandem.ProviderWins, tandem.Hold}).Draw(t, "winner"),
		}
	})
	return rapid.Custom(func(t *rapid.T) tandem.MergePolicy {
		return rapid.MapOfN(rapid.SampledFrom([]string{"name", "email", "phone", "address", "metadata", "metadata.k"}), policies, 0, 6).Draw(t, "policy")
	})
}

type mergeCase struct {
	base, local, remote tandem.Fields
	policy              tandem.MergePolicy
}

func drawMerge(t *rapid.T) mergeCase {
	return mergeCase{
		someFields().Draw(t, "base"), someFields().Draw(t, "local"), someFields().Draw(t, "remote"), somePolicy().Draw(t, "policy"),
	}
}

// leaves lists a side field by field, an address being one of them.
func leaves(f tandem.Fields) map[string]string {
	out := map[string]string{}
	for _, c := range tandem.Diff(tandem.Fields{}, f) {
		out[c.Field] = c.After
	}
	return out
}

func patched(p tandem.Patch) map[string]string {
	every := tandem.Fields{Name: "\x01", Email: "\x01", Phone: "\x01", Address: tandem.Address{Line1: "\x01"}, Metadata: map[string]string{"k": "\x01", "l": "\x01", "m": "\x01"}}
	out := map[string]string{}
	for _, c := range tandem.Diff(every, every.With(p)) {
		out[c.Field] = c.After
	}
	return out
}

func TestMergeProperties(t *testing.T) {
	t.Parallel()

	t.Run("merging again asks for nothing", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			c := drawMerge(t)
			first := tandem.Merge(c.base, c.local, c.remote, c.policy)
			local, remote := c.local.With(first.Local), c.remote.With(first.Remote)
			second := tandem.Merge(first.Base, local, remote, c.policy)
			if !second.Local.IsEmpty() || !second.Remote.IsEmpty() {
				t.Fatalf("then %v and %v", patched(second.Local), patched(second.Remote))
			}
			if len(first.Conflicts) != len(second.Conflicts) {
				t.Fatalf("conflicts %v, then %v", first.Conflicts, second.Conflicts)
			}
		})
	})

	t.Run("both sides are equal afterwards, but for what is on hold or off", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			c := drawMerge(t)
			m := tandem.Merge(c.base, c.local, c.remote, c.policy)
			apart := map[string]bool{}
			for _, held := range m.Conflicts {
				apart[held.Field] = true
			}
			local, remote := c.local.With(m.Local), c.remote.With(m.Remote)
			for _, d := range tandem.Diff(local, remote) {
				policy, ok := c.policy[d.Field]
				if !ok && len(d.Field) > 9 {
					policy = c.policy["metadata"]
				}
				if apart[d.Field] || policy.Owner == tandem.NotSynced || equalLeaf(local, remote, d.Field) {
					continue
				}
				t.Fatalf("%s is %q and %q", d.Field, d.Before, d.After)
			}
		})
	})

	t.Run("no value is invented, and no unchanged field is written", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			c := drawMerge(t)
			m := tandem.Merge(c.base, c.local, c.remote, c.policy)
			local, remote := leaves(c.local), leaves(c.remote)
			for field, v := range patched(m.Local) {
				if v != remote[field] || equalLeaf(c.local, c.remote, field) {
					t.Fatalf("%s here becomes %q; it is %q here and %q there", field, v, local[field], remote[field])
				}
			}
			for field, v := range patched(m.Remote) {
				if v != local[field] || equalLeaf(c.local, c.remote, field) {
					t.Fatalf("%s there becomes %q; it is %q here and %q there", field, v, local[field], remote[field])
				}
			}
		})
	})

	t.Run("what one side changed alone reaches the other", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			c := drawMerge(t)
			m := tandem.Merge(c.base, c.local, c.base, nil)
			if !m.Local.IsEmpty() || !c.base.With(m.Remote).Equal(c.local) {
				t.Fatalf("changed here only: %v and %v", patched(m.Local), patched(m.Remote))
			}
			m = tandem.Merge(c.base, c.base, c.remote, nil)
			if !m.Remote.IsEmpty() || !c.base.With(m.Local).Equal(c.remote) {
				t.Fatalf("changed there only: %v and %v", patched(m.Local), patched(m.Remote))
			}
		})
	})

	t.Run("the inputs are not touched", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			c := drawMerge(t)
			base, local, remote := leaves(c.base), leaves(c.local), leaves(c.remote)
			m := tandem.Merge(c.base, c.local, c.remote, c.policy)
			_, _ = c.local.With(m.Local), c.remote.With(m.Remote)
			if len(base) != len(leaves(c.base)) || len(local) != len(leaves(c.local)) || len(remote) != len(leaves(c.remote)) {
				t.Fatal("a map was changed in place")
			}
		})
	})

	t.Run("a link wipes nothing and ends with equal sides", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			c := drawMerge(t)
			winner := rapid.SampledFrom([]tandem.Winner{tandem.PlatformWins, tandem.ProviderWins}).Draw(t, "winner")
			m := tandem.Merge(tandem.BaseForLink(c.local, c.remote, winner), c.local, c.remote, nil)
			local, remote := c.local.With(m.Local), c.remote.With(m.Remote)
			if !local.Equal(remote) {
				t.Fatalf("%v and %v", leaves(local), leaves(remote))
			}
			for field := range leaves(c.remote) {
				if leaves(local)[field] == "" {
					t.Fatalf("%s was wiped", field)
				}
			}
		})
	})
}

// equalLeaf compares one field as Merge does.
func equalLeaf(a, b tandem.Fields, field string) bool {
	only := func(f tandem.Fields) tandem.Fields {
		switch field {
		case "name":
			return tandem.Fields{Name: f.Name}
		case "email":
			return tandem.Fields{Email: f.Email}
		case "phone":
			return tandem.Fields{Phone: f.Phone}
		case "address":
			return tandem.Fields{Address: f.Address}
		}
		k := field[len("metadata."):]
		return tandem.Fields{Metadata: map[string]string{k: f.Metadata[k]}}
	}
	return only(a).Equal(only(b))
}
