package tandem_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func ptr[T any](v T) *T { return &v }

func named(s string) tandem.Fields { return tandem.Fields{Name: s} }

// asks is what a merge of one text field wants: nil leaves a side alone.
type asks struct {
	local, remote *string
	base          string
	conflict      bool
}

func TestMergeOneField(t *testing.T) {
	t.Parallel()
	const b, l, r = "base", "here", "there"
	toLocal := func(v, base string) asks { return asks{local: &v, base: base} }
	toRemote := func(v, base string) asks { return asks{remote: &v, base: base} }
	nothing := func(base string) asks { return asks{base: base} }
	held := asks{base: b, conflict: true}

	type row struct {
		name                string
		base, local, remote string
		// wants by policy: both owners with each winner, then the other owners
		platform, provider, hold, ownPlatform, ownProvider, off asks
	}
	for _, tt := range []row{
		{"nobody changed it", b, b, b, nothing(b), nothing(b), nothing(b), nothing(b), nothing(b), nothing(b)},
		{"nobody has it", "", "", "", nothing(""), nothing(""), nothing(""), nothing(""), nothing(""), nothing("")},
		{"changed here", b, l, b, toRemote(l, b), toRemote(l, b), toRemote(l, b), toRemote(l, b), toLocal(b, b), nothing(b)},
		{"changed there", b, b, r, toLocal(r, r), toLocal(r, r), toLocal(r, r), toRemote(b, r), toLocal(r, r), nothing(b)},
		{"set here", "", l, "", toRemote(l, ""), toRemote(l, ""), toRemote(l, ""), toRemote(l, ""), toLocal("", ""), nothing("")},
		{"set there", "", "", r, toLocal(r, r), toLocal(r, r), toLocal(r, r), toRemote("", r), toLocal(r, r), nothing("")},
		{"cleared here", b, "", b, toRemote("", b), toRemote("", b), toRemote("", b), toRemote("", b), toLocal(b, b), nothing(b)},
		{"cleared there", b, b, "", toLocal("", ""), toLocal("", ""), toLocal("", ""), toRemote(b, ""), toLocal("", ""), nothing(b)},
		{"cleared by both", b, "", "", nothing(""), nothing(""), nothing(""), nothing(""), nothing(""), nothing(b)},
		{"changed by both to the same", b, l, l, nothing(l), nothing(l), nothing(l), nothing(l), nothing(l), nothing(b)},
		{"changed by both", b, l, r, toRemote(l, r), toLocal(r, r), held, toRemote(l, r), toLocal(r, r), nothing(b)},
		{"cleared here, changed there", b, "", r, toRemote("", r), toLocal(r, r), held, toRemote("", r), toLocal(r, r), nothing(b)},
		{"changed here, cleared there", b, l, "", toRemote(l, ""), toLocal("", ""), held, toRemote(l, ""), toLocal("", ""), nothing(b)},
		{"white space is no change", b, " base ", "base\t", nothing("base\t"), nothing("base\t"), nothing("base\t"), nothing("base\t"), nothing("base\t"), nothing(b)},
		{"case is a change", b, "Base", b, toRemote("Base", b), toRemote("Base", b), toRemote("Base", b), toRemote("Base", b), toLocal(b, b), nothing(b)},
		{"what was typed is sent", b, " here ", b, toRemote(" here ", b), toRemote(" here ", b), toRemote(" here ", b), toRemote(" here ", b), toLocal(b, b), nothing(b)},
	} {
		for policy, want := range map[tandem.FieldPolicy]asks{
			{}: tt.platform,
			{Owner: tandem.OwnedByBoth, Conflict: tandem.PlatformWins}: tt.platform,
			{Conflict: tandem.ProviderWins}:                            tt.provider,
			{Conflict: tandem.Hold}:                                    tt.hold,
			{Owner: tandem.OwnedByPlatform}:                            tt.ownPlatform,
			{Owner: tandem.OwnedByProvider}:                            tt.ownProvider,
			{Owner: tandem.NotSynced}:                                  tt.off,
		} {
			t.Run(tt.name+"/"+string(policy.Owner)+" "+string(policy.Conflict), func(t *testing.T) {
				t.Parallel()
				for field, f := range map[string]struct {
					of  func(string) tandem.Fields
					get func(tandem.Patch) *string
				}{
					"name":  {named, func(p tandem.Patch) *string { return p.Name }},
					"email": {func(s string) tandem.Fields { return tandem.Fields{Email: s} }, func(p tandem.Patch) *string { return p.Email }},
					"phone": {func(s string) tandem.Fields { return tandem.Fields{Phone: s} }, func(p tandem.Patch) *string { return p.Phone }},
					"metadata.k": {func(s string) tandem.Fields { return tandem.Fields{Metadata: map[string]string{"k": s}} }, func(p tandem.Patch) *string {
						if v, ok := p.Metadata["k"]; ok {
							return &v
						}
						return nil
					}},
				} {
					m := tandem.Merge(f.of(tt.base), f.of(tt.local), f.of(tt.remote), tandem.MergePolicy{field: policy})
					require.Equal(t, want.local, f.get(m.Local), "%s, for the platform", field)
					require.Equal(t, want.remote, f.get(m.Remote), "%s, for the provider", field)
					require.True(t, m.Base.Equal(f.of(want.base)), "%s, base %v", field, m.Base)
					if want.conflict {
						require.Equal(t, []tandem.FieldConflict{{Field: field, Platform: tt.local, Provider: tt.remote}}, m.Conflicts)
					} else {
						require.Empty(t, m.Conflicts)
					}
				}
			})
		}
	}
}

func TestMergeAddress(t *testing.T) {
	t.Parallel()
	london := tandem.Address{Line1: "1 Way", City: "London", Country: "GB"}
	moved := tandem.Address{Line1: "2 Road", City: "London", Country: "GB"}
	extended := tandem.Address{Line1: "1 Way", Line2: "Flat 3", City: "London", Country: "GB"}
	in := func(a tandem.Address) tandem.Fields { return tandem.Fields{Address: a} }

	m := tandem.Merge(in(london), in(moved), in(extended), nil)
	require.Equal(t, &moved, m.Remote.Address, "one value: not half of each")
	require.Nil(t, m.Local.Address)

	spelled := london
	spelled.Country, spelled.City = "gb", " London "
	m = tandem.Merge(in(london), in(spelled), in(london), nil)
	require.True(t, m.Remote.IsEmpty(), "the case of a country and white space are no change")
	spelled.City = "london"
	m = tandem.Merge(in(london), in(spelled), in(london), nil)
	require.Equal(t, &spelled, m.Remote.Address, "the case of a city is")

	m = tandem.Merge(in(london), in(moved), in(extended), tandem.MergePolicy{"address": {Conflict: tandem.Hold}})
	require.Equal(t, []tandem.FieldConflict{{Field: "address", Platform: "2 Road, London, GB", Provider: "1 Way, Flat 3, London, GB", Address: &extended}}, m.Conflicts)
}

func TestMergeMetadata(t *testing.T) {
	t.Parallel()
	in := func(kv ...string) tandem.Fields {
		f := tandem.Fields{Metadata: map[string]string{}}
		for i := 0; i < len(kv); i += 2 {
			f.Metadata[kv[i]] = kv[i+1]
		}
		return f
	}
	base, local, remote := in("same", "1", "gone here", "1", "gone there", "1", "both", "1"),
		in("same", "1", "gone there", "1", "both", "2", "new here", "1"),
		in("same", "1", "gone here", "1", "both", "3", "new there", "1")
	m := tandem.Merge(base, local, remote, nil)
	require.Equal(t, map[string]string{"gone there": "", "new there": "1"}, m.Local.Metadata)
	require.Equal(t, map[string]string{"gone here": "", "new here": "1", "both": "2"}, m.Remote.Metadata)
	require.Equal(t, remote.Metadata, m.Base.Metadata)

	m = tandem.Merge(base, local, remote, tandem.MergePolicy{
		"metadata":      {Conflict: tandem.Hold},
		"metadata.both": {Conflict: tandem.ProviderWins},
	})
	require.Equal(t, map[string]string{"gone there": "", "new there": "1", "both": "3"}, m.Local.Metadata, "a key's own policy goes first")
	require.Equal(t, map[string]string{"gone here": "", "new here": "1"}, m.Remote.Metadata)
	require.Empty(t, m.Conflicts)

	require.Equal(t, in("same", "1", "gone here", "1", "gone there", "1", "both", "1"), base, "inputs are not touched")
}

func TestMergeReserved(t *testing.T) {
	t.Parallel()
	ours, theirs := map[string]string{"flexprice_customer_id": "a"}, map[string]string{"flexprice_customer_id": "b"}
	for name, tt := range map[string]struct {
		base, local, remote, want map[string]string
	}{
		"as it should be":             {ours, ours, ours, nil},
		"edited there: repaired":      {ours, ours, theirs, ours},
		"removed there: repaired":     {ours, ours, map[string]string{}, ours},
		"wrong for long: repaired":    {theirs, ours, theirs, ours},
		"no opinion: left as it is":   {ours, nil, theirs, nil},
		"a foreign key there removed": {ours, ours, map[string]string{"flexprice_customer_id": "a", "external_id": "x"}, map[string]string{"external_id": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, winner := range []tandem.Winner{tandem.PlatformWins, tandem.ProviderWins, tandem.Hold} {
				m := tandem.Merge(tandem.Fields{Reserved: tt.base}, tandem.Fields{Reserved: tt.local}, tandem.Fields{Reserved: tt.remote},
					tandem.MergePolicy{"metadata": {Owner: tandem.OwnedByProvider, Conflict: winner}})
				require.Equal(t, tt.want, m.Remote.Reserved)
				require.Nil(t, m.Local.Reserved, "it never comes in")
				require.Empty(t, m.Conflicts)
				require.Equal(t, tt.remote, m.Base.Reserved)
			}
		})
	}
}

func TestBaseForLink(t *testing.T) {
	t.Parallel()
	local := tandem.Fields{Name: "Here", Phone: "1", Metadata: map[string]string{"both": "l", "here": "l"}}
	remote := tandem.Fields{Name: "There", Email: "e", Metadata: map[string]string{"both": "r", "there": "r"}}

	m := tandem.Merge(tandem.BaseForLink(local, remote, tandem.PlatformWins), local, remote, nil)
	require.Equal(t, tandem.Fields{Name: "Here", Email: "e", Phone: "1", Metadata: map[string]string{"both": "l", "here": "l", "there": "r"}}, local.With(m.Local))
	require.True(t, local.With(m.Local).Equal(remote.With(m.Remote)))

	m = tandem.Merge(tandem.BaseForLink(local, remote, tandem.ProviderWins), local, remote, nil)
	require.Equal(t, tandem.Fields{Name: "There", Email: "e", Phone: "1", Metadata: map[string]string{"both": "r", "here": "l", "there": "r"}}, local.With(m.Local))
	require.True(t, local.With(m.Local).Equal(remote.With(m.Remote)))
}
