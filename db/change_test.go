package db_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestApplyChange(t *testing.T) {
	t.Parallel()

	t.Run("a create reserves the mapping with its claim", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ch := creation(tandem.Patch{
			Name: ptr("Ada"), Email: ptr("ada@example.com"), Phone: ptr("+441"), Metadata: map[string]string{"tier": "gold"},
			Address: &tandem.Address{Line1: "1 Way", City: "London", Country: "GB"},
		})
		ch.ExternalID = ptr("ext-1")
		c := b.change(ch)
		require.Equal(t, int64(1), c.Version)
		require.Equal(t, tandem.Active, c.Status)
		require.Equal(t, ch.Apply(tandem.Customer{}).Fields(), c.Fields())
		require.Equal(t, c, b.customer(c.ID))

		m := b.mapping(c.ID)
		require.Equal(t, tandem.Pending, m.State)
		require.Empty(t, m.RemoteID)
		require.Nil(t, m.Base)
		require.Equal(t, tandem.ActCreate, m.Claim.Action)
		require.Equal(t, tandem.CreateKey("test", c.ID, 0), m.Claim.Key)
		require.Equal(t, int64(1), m.Claim.Version)
		require.Equal(t, map[string]string{
			tandem.KeyCustomerID: c.ID, tandem.KeyEnvironment: "test", tandem.KeyExternalID: "ext-1",
		}, m.Claim.Body.Reserved)
		require.Equal(t, "Ada", *m.Claim.Body.Name)
		require.Equal(t, map[string]string{
			tandem.MetaSyncDirection: tandem.PlatformToProvider, tandem.MetaCreatedVia: tandem.ByAPI,
			"stripe_customer_email": "ada@example.com", "stripe_customer_name": "Ada",
		}, m.Metadata)
		require.Equal(t, []string{"outbound create"}, b.story(c.ID))
	})

	t.Run("a create twice is one create", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		ch := creation(tandem.Patch{Name: ptr("Ada")})
		first := b.change(ch)
		before := b.picture()
		require.Equal(t, first, b.change(ch))
		require.Equal(t, before, b.picture())
	})

	t.Run("an update twice is one update, also with an expected version", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		ch := update(c.ID, tandem.Patch{Name: ptr("Ada L.")})
		ch.ExpectedVersion = 1
		first := b.change(ch)
		require.Equal(t, int64(2), first.Version)
		before := b.picture()
		require.Equal(t, first, b.change(ch))
		require.Equal(t, before, b.picture())
		require.Equal(t, []string{"outbound create", "outbound update"}, b.story(c.ID))
	})

	t.Run("an old change again does not undo a newer one", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		older, newer := update(c.ID, tandem.Patch{Name: ptr("B")}), update(c.ID, tandem.Patch{Name: ptr("C")})
		b.change(older)
		b.change(newer)
		require.Equal(t, "C", b.change(older).Name)
	})

	t.Run("a change of nothing writes nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "")
		before := b.picture()
		require.Equal(t, c, b.change(update(c.ID, tandem.Patch{Name: ptr("Ada")})))
		require.Equal(t, before, b.picture())
	})

	t.Run("the journal names fields, before and after", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.created("Ada", "ada@example.com")
		ch := update(c.ID, tandem.Patch{Email: ptr(""), Metadata: map[string]string{"k": "v"}})
		ch.ExternalID = ptr("ext-9")
		b.change(ch)
		entries, err := b.Journal(t.Context(), c.ID, 10)
		require.NoError(t, err)
		require.Equal(t, []tandem.FieldChange{
			{Field: "email", Before: "ada@example.com"}, {Field: "metadata.k", After: "v"}, {Field: "external_id", After: "ext-9"},
		}, entries[1].Changes)
		require.Equal(t, tandem.Cause{Kind: tandem.ByAPI, ID: ch.ID}, entries[1].Work.Cause)
	})

	t.Run("a synced mapping shows that it has something to do", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		c := b.linked("cus_1")
		require.Equal(t, tandem.Synced, b.mapping(c.ID).State)
		b.change(update(c.ID, tandem.Patch{Name: ptr("New")}))
		require.Equal(t, tandem.Pending, b.mapping(c.ID).State)
	})

	t.Run("every provider gets a mapping, one added later with the next change", func(t *testing.T) {
		t.Parallel()
		b := setup(t, "stripe", "other")
		c := b.created("Ada", "")
		all, err := b.Mappings(t.Context(), []string{c.ID})
		require.NoError(t, err)
		require.Len(t, all, 2)
		require.NotEqual(t, all[0].ID, all[1].ID)
	})
}

func TestApplyChangeRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.created("Ada", "")

	for name, tt := range map[string]struct {
		change func() tandem.Change
		class  tandem.Class
		code   string
	}{
		"an unknown customer": {
			func() tandem.Change { return update(customerID(), tandem.Patch{Name: ptr("X")}) }, tandem.Invalid, tandem.CodeCustomerNotFound,
		},
		"another version": {func() tandem.Change {
			ch := update(c.ID, tandem.Patch{Name: ptr("X")})
			ch.ExpectedVersion = 7
			return ch
		}, tandem.Conflict, tandem.CodeVersionMismatch},
		"an id that exists": {func() tandem.Change {
			ch := creation(tandem.Patch{Name: ptr("X")})
			ch.CustomerID = c.ID
			return ch
		}, tandem.Conflict, tandem.CodeCustomerExists},
	} {
		t.Run(name, func(t *testing.T) {
			ch := tt.change()
			before := b.picture()
			_, err := b.ApplyChange(t.Context(), ch, apiWork(ch))
			requireCode(t, err, tt.class, tt.code)
			require.Equal(t, before, b.picture(), "nothing is left behind")
		})
	}
}

func TestExternalID(t *testing.T) {
	t.Parallel()
	with := func(external string) tandem.Change {
		ch := creation(tandem.Patch{Name: ptr("Ada")})
		ch.ExternalID = &external
		return ch
	}

	t.Run("is unique among active customers", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.change(with("ext"))
		before := b.picture()
		ch := with("ext")
		_, err := b.ApplyChange(t.Context(), ch, apiWork(ch))
		requireCode(t, err, tandem.Conflict, tandem.CodeExternalIDTaken)
		require.Equal(t, before, b.picture(), "nothing is left behind")
	})

	t.Run("cannot be taken by an update", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.change(with("ext"))
		c := b.created("Bob", "")
		ch := update(c.ID, tandem.Patch{})
		ch.ExternalID = ptr("ext")
		_, err := b.ApplyChange(t.Context(), ch, apiWork(ch))
		requireCode(t, err, tandem.Conflict, tandem.CodeExternalIDTaken)
		require.Equal(t, c, b.customer(c.ID))
	})

	t.Run("is freed by archiving, and the archived customer refuses changes", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		old := b.change(with("ext"))
		b.apply(answer(b.plan(old.ID), "cus_1", 10))
		b.apply(deleted(event("cus_1", 20, tandem.Fields{})))
		require.Equal(t, tandem.Archived, b.customer(old.ID).Status)
		require.NotNil(t, b.customer(old.ID).ArchivedAt)

		fresh := b.change(with("ext"))
		found, err := b.CustomerByExternalID(t.Context(), "ext")
		require.NoError(t, err)
		require.Equal(t, fresh.ID, found.ID)

		ch := update(old.ID, tandem.Patch{Name: ptr("X")})
		_, err = b.ApplyChange(t.Context(), ch, apiWork(ch))
		requireCode(t, err, tandem.Conflict, tandem.CodeCustomerArchived)
	})
}
