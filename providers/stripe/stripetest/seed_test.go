package stripetest

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSeedIsThereWithoutEventOrOperation(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	body := json.RawMessage(`{"id":"cus_old","object":"customer","created":1500000000,"name":null,"email":"a@example.org","address":{"city":"Köln","line2":null},"metadata":{"k":"v"}}`)
	require.NoError(t, s.Seed(body))
	require.NoError(t, s.Seed(body))

	c, ok := s.Customer("cus_old")
	require.True(t, ok)
	require.Equal(t, int64(1500000000), c.Created)
	require.Equal(t, "a@example.org", c.Email)
	require.Equal(t, Address{"city": "Köln"}, c.Address)
	require.Equal(t, map[string]string{"k": "v"}, c.Metadata)
	require.Len(t, s.Customers(), 1)
	require.Empty(t, s.Events())
	require.Empty(t, s.Operations())
	require.Error(t, s.Seed(json.RawMessage(`{"id":"cus_x"}`)))
	require.Error(t, s.Seed(json.RawMessage(`nonsense`)))
}

func TestSetWebhookMovesTheOneEndpoint(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	s.SetWebhook("http://127.0.0.1:1/a", "whsec_a")
	s.SetWebhook("http://127.0.0.1:2/b", "whsec_b")
	require.Len(t, s.Endpoints(), 1)
	require.Equal(t, "http://127.0.0.1:2/b", s.Endpoints()[0].URL)
}

func TestSeededCustomersAreListedByTheirAge(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	seed := func(id string, created int) {
		require.NoError(t, s.Seed(json.RawMessage(fmt.Sprintf(`{"id":%q,"created":%d}`, id, created))))
	}
	seed("c", 30)
	seed("a", 10)
	seed("d", 30)
	seed("b", 20)
	inOrder := func() (ids []string) {
		for _, c := range s.Customers() {
			ids = append(ids, c.ID)
		}
		return ids
	}
	require.Equal(t, []string{"a", "b", "c", "d"}, inOrder(), "of one second, the first to come is the older")
	seed("a", 25)
	require.Equal(t, []string{"b", "a", "c", "d"}, inOrder())
	for i, id := range s.order {
		require.Equal(t, i, s.customers[id].pos)
	}
}

func TestACrowdIsThereAtOnce(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	from := time.Unix(1_600_000_000, 0)
	began := time.Now()
	ids, err := s.SeedCrowd(Crowd{Size: 100_000, From: from, Apart: 250 * time.Millisecond, Each: func(i int, c *Customer) {
		c.Name, c.Metadata["n"] = fmt.Sprint("Customer ", i), fmt.Sprint(i)
	}})
	require.NoError(t, err)
	t.Logf("100,000 customers in %v", time.Since(began))
	require.Less(t, time.Since(began), time.Minute, "seconds, on any machine")
	require.Len(t, ids, 100_000)
	require.Equal(t, 100_000, s.State().Customers)
	require.Empty(t, s.Events())
	require.Zero(t, s.State().Operations)
	c, _ := s.Customer(ids[7])
	require.Equal(t, []any{"Customer 7", from.Unix() + 1}, []any{c.Name, c.Created}, "four share a second")
}

func TestACrowdWithEventsAmongOthers(t *testing.T) {
	t.Parallel()
	s, err := New(Options{})
	require.NoError(t, err)
	t.Cleanup(s.Close)
	young, err := s.CreateCustomer(nil)
	require.NoError(t, err)
	ids, err := s.SeedCrowd(Crowd{Size: 3, From: time.Unix(100, 0), Events: true})
	require.NoError(t, err)
	require.Equal(t, append(ids, young.ID), s.order, "the older come first, whenever they came")
	events := s.Events()
	require.Len(t, events, 4)
	require.Equal(t, ids[0], events[1].CustomerID)
	_, err = s.SeedCrowd(Crowd{Size: 1, From: time.Unix(100, 0), Each: func(_ int, c *Customer) { c.ID = ids[0] }})
	require.Error(t, err)
}
