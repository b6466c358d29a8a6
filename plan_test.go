package tandem_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem"
)

func TestPlanNext(t *testing.T) {
	t.Parallel()
	ada := tandem.Fields{Name: "Ada", Email: "e"}
	for name, tt := range map[string]struct {
		change func(*tandem.Pair)
		action tandem.Action
		body   tandem.Patch
	}{
		"nothing to do":     {func(*tandem.Pair) {}, tandem.ActNothing, tandem.Patch{}},
		"only what changed": {func(p *tandem.Pair) { p.Customer.Name = "New" }, tandem.ActUpdate, tandem.Patch{Name: ptr("New")}},
		"cleared":           {func(p *tandem.Pair) { p.Customer.Email = "" }, tandem.ActUpdate, tandem.Patch{Email: ptr("")}},
		"a call in flight first, whatever changed since": {func(p *tandem.Pair) {
			p.Mapping.Claim = &tandem.Claim{Action: tandem.ActUpdate, Body: tandem.Patch{Phone: ptr("1")}}
			p.Customer.Name = "New"
		}, tandem.ActUpdate, tandem.Patch{Phone: ptr("1")}},
		"an archived customer rests": {func(p *tandem.Pair) { p.Customer.Name, p.Customer.Status = "New", tandem.Archived }, tandem.ActNothing, tandem.Patch{}},
		"an ended mapping rests":     {func(p *tandem.Pair) { p.Customer.Name, p.Mapping.State = "New", tandem.Ended }, tandem.ActNothing, tandem.Patch{}},
		"nothing linked: a create": {func(p *tandem.Pair) { p.Mapping.RemoteID, p.Mapping.Base = "", nil }, tandem.ActCreate, tandem.Patch{
			Name: ptr("Ada"), Email: ptr("e"), Reserved: map[string]string{tandem.KeyCustomerID: "cust_1", tandem.KeyEnvironment: "test"},
		}},
		"what is on hold is pushed by nobody": {func(p *tandem.Pair) {
			p.Customer.Name, p.Customer.Phone = "New", "1"
			p.Customer.Metadata = map[string]string{"k": "1", "l": "2"}
			p.Mapping.Conflicts = []tandem.FieldConflict{{Field: "name"}, {Field: "metadata.k"}, {Field: "address"}, {Field: "email"}}
			p.Customer.Email, p.Customer.Address.City = "new", "Paris"
		}, tandem.ActUpdate, tandem.Patch{Phone: ptr("1"), Metadata: map[string]string{"l": "2"}}},
		"only what is on hold": {func(p *tandem.Pair) {
			p.Customer.Phone = "2"
			p.Mapping.Conflicts = []tandem.FieldConflict{{Field: "phone"}}
		}, tandem.ActNothing, tandem.Patch{}},
		"one that came from the provider is not marked": {func(p *tandem.Pair) { p.Customer.ExternalID = "ext" }, tandem.ActNothing, tandem.Patch{}},
		"one that Tandem made carries the external id": {func(p *tandem.Pair) {
			p.Mapping.Metadata = map[string]string{tandem.MetaSyncDirection: tandem.PlatformToProvider}
			p.Mapping.Base.Reserved = p.Customer.ReservedFor("test")
			p.Customer.ExternalID = "ext"
		}, tandem.ActUpdate, tandem.Patch{Reserved: map[string]string{tandem.KeyExternalID: "ext"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pair := linked(ada)
			tt.change(&pair)
			action, body := tandem.PlanNext(pair.Customer, *pair.Mapping, policy)
			require.Equal(t, tt.action, action)
			require.Equal(t, tt.body, body)
		})
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	const id, mapping = "cust_01HZZZZZZZZZZZZZZZZZZZZZZZ", "eim_01HZZZZZZZZZZZZZZZZZZZZZZZ"

	t.Run("are what the documentation says", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "tandem:prod:create:"+id+":2", tandem.CreateKey("prod", id, 2))
		key := tandem.UpdateKey("prod", id, mapping, 7, 3, tandem.Patch{Name: ptr("x")})
		require.True(t, strings.HasPrefix(key, "tandem:prod:update:"+id+":"+mapping+":7.3:"), key)
	})

	t.Run("fit", func(t *testing.T) {
		t.Parallel()
		longest := strings.Repeat("e", 32)
		require.LessOrEqual(t, len(tandem.UpdateKey(longest, id, mapping, math.MaxInt64, math.MaxInt32, tandem.Patch{})), 160)
		require.LessOrEqual(t, len(tandem.CreateKey(longest, id, math.MaxInt32)), 160)
	})

	t.Run("name the customer of a create, to the installation that made it", func(t *testing.T) {
		t.Parallel()
		of := func(environment, key string) string { return tandem.RemoteState{Key: key}.NamedCustomer(environment) }
		require.Equal(t, id, of("prod", tandem.CreateKey("prod", id, 4)))
		require.Empty(t, of("test", tandem.CreateKey("prod", id, 4)))
		require.Empty(t, of("prod", tandem.UpdateKey("prod", id, mapping, 1, 0, tandem.Patch{})))
		for _, foreign := range []string{"", "tandem:prod:", "tandem:prod:create", "tandem:prod:create:" + id, "tandem:prod:create:" + id + ":1:2", "xtandem:prod:create:" + id + ":1"} {
			require.Empty(t, of("prod", foreign), foreign)
		}
		require.Equal(t, id, tandem.RemoteState{Fields: reserved("prod", id)}.NamedCustomer("prod"))
		require.Empty(t, tandem.RemoteState{Fields: reserved("test", id)}.NamedCustomer("prod"))
		require.Equal(t, "cust_key", tandem.RemoteState{Key: tandem.CreateKey("prod", "cust_key", 0), Fields: reserved("prod", id)}.NamedCustomer("prod"))
	})

	t.Run("one key is one body, one link, one version, one epoch", func(t *testing.T) {
		t.Parallel()
		rapid.Check(t, func(t *rapid.T) {
			a, b := tandem.Patch{Metadata: somePatchKeys().Draw(t, "a")}, tandem.Patch{Metadata: somePatchKeys().Draw(t, "b")}
			v, w := rapid.Int64Range(1, 4).Draw(t, "v"), rapid.Int64Range(1, 4).Draw(t, "w")
			e, f := rapid.IntRange(0, 3).Draw(t, "e"), rapid.IntRange(0, 3).Draw(t, "f")
			same := tandem.Diff(tandem.Fields{Metadata: a.Metadata}, tandem.Fields{Metadata: b.Metadata}) == nil && len(a.Metadata) == len(b.Metadata) && v == w && e == f
			if got := tandem.UpdateKey("t", id, mapping, v, e, a) == tandem.UpdateKey("t", id, mapping, w, f, b); got != same {
				t.Fatalf("the same key: %t", got)
			}
		})
		require.NotEqual(t, tandem.UpdateKey("t", id, mapping, 1, 0, tandem.Patch{Name: ptr("")}), tandem.UpdateKey("t", id, mapping, 1, 0, tandem.Patch{}))
		require.NotEqual(t, tandem.UpdateKey("t", id, mapping, 1, 0, tandem.Patch{}), tandem.UpdateKey("t", id, "eim_2", 1, 0, tandem.Patch{}))
	})
}

func somePatchKeys() *rapid.Generator[map[string]string] {
	return rapid.MapOfN(rapid.SampledFrom([]string{"k", "l"}), rapid.SampledFrom([]string{"a", "b"}), 0, 2)
}

func TestDiff(t *testing.T) {
	t.Parallel()
	before := tandem.Fields{Name: "A", Email: "e", Address: tandem.Address{Line1: "1 Way", Country: "GB"}, Metadata: map[string]string{"b": "1", "c": "1"}}
	after := tandem.Fields{Name: "B", Email: "e", Phone: "1", Metadata: map[string]string{"a": "1", "c": "2"}, Reserved: map[string]string{tandem.KeyExternalID: "x"}}
	require.Equal(t, []tandem.FieldChange{
		{Field: "name", Before: "A", After: "B"},
		{Field: "phone", After: "1"},
		{Field: "address", Before: "1 Way, GB"},
		{Field: "metadata.a", After: "1"},
		{Field: "metadata.b", Before: "1"},
		{Field: "metadata.c", Before: "1", After: "2"},
		{Field: "metadata.external_id", After: "x"},
	}, tandem.Diff(before, after))
	require.Empty(t, tandem.Diff(before, before))
	first, second := tandem.Fields{Address: tandem.Address{Line1: "Flat 3"}}, tandem.Fields{Address: tandem.Address{Line2: "Flat 3"}}
	require.Equal(t, []tandem.FieldChange{{Field: "address", Before: "Flat 3, , , , , ", After: ", Flat 3, , , , "}}, tandem.Diff(first, second), "a part that moves is a change")

	rapid.Check(t, func(t *rapid.T) {
		a, b := someFields().Draw(t, "a"), someFields().Draw(t, "b")
		there, back := tandem.Diff(a, b), tandem.Diff(b, a)
		if len(there) != len(back) {
			t.Fatalf("%v and back %v", there, back)
		}
		for i, d := range there {
			if d.Before == d.After || d != (tandem.FieldChange{Field: back[i].Field, Before: back[i].After, After: back[i].Before}) {
				t.Fatalf("%v and back %v", d, back[i])
			}
		}
	})
}

func TestChangeApply(t *testing.T) {
	t.Parallel()
	before := tandem.Customer{
		ID: "cust_1", ExternalID: "ext", Name: "A", Email: "e", Address: tandem.Address{Line1: "1 Way", City: "London"},
		Metadata: map[string]string{"k": "1", "l": "2"}, Status: tandem.Active, Version: 3,
	}
	for name, tt := range map[string]struct {
		change tandem.Change
		want   func(*tandem.Customer)
	}{
		"nothing":                   {tandem.Change{}, func(*tandem.Customer) {}},
		"a field":                   {tandem.Change{Patch: tandem.Patch{Name: ptr("B")}}, func(c *tandem.Customer) { c.Name = "B" }},
		"a field cleared":           {tandem.Change{Patch: tandem.Patch{Email: ptr("")}}, func(c *tandem.Customer) { c.Email = "" }},
		"the external id":           {tandem.Change{ExternalID: ptr("new")}, func(c *tandem.Customer) { c.ExternalID = "new" }},
		"the external id cleared":   {tandem.Change{ExternalID: ptr("")}, func(c *tandem.Customer) { c.ExternalID = "" }},
		"a part of the address":     {tandem.Change{Address: tandem.AddressPatch{City: ptr("Paris"), Country: ptr("FR")}}, func(c *tandem.Customer) { c.Address.City, c.Address.Country = "Paris", "FR" }},
		"the address, then a part":  {tandem.Change{Patch: tandem.Patch{Address: &tandem.Address{}}, Address: tandem.AddressPatch{State: ptr("X")}}, func(c *tandem.Customer) { c.Address = tandem.Address{State: "X"} }},
		"a key set and one removed": {tandem.Change{Patch: tandem.Patch{Metadata: map[string]string{"k": "", "m": "3"}}}, func(c *tandem.Customer) { c.Metadata = map[string]string{"l": "2", "m": "3"} }},
		"metadata replaced":         {tandem.Change{ClearMetadata: true, Patch: tandem.Patch{Metadata: map[string]string{"m": "3"}}}, func(c *tandem.Customer) { c.Metadata = map[string]string{"m": "3"} }},
		"metadata cleared":          {tandem.Change{ClearMetadata: true}, func(c *tandem.Customer) { c.Metadata = nil }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := before
			tt.want(&want)
			require.Equal(t, want, tt.change.Apply(before))
			require.Equal(t, map[string]string{"k": "1", "l": "2"}, before.Metadata)
		})
	}
}
