package stripetest

import (
	"encoding/json"
	"testing"

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
