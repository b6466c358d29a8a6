package stripe

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

const webhookBodies = "../../testdata/webhooks"

// sample is what a file must be read as; fields nil: it says nothing about a customer.
type sample struct {
	version, eventType, object string
	created                    string
	key                        bool
	deleted                    bool
	fields                     *tandem.Fields
	absent                     int
}

var samples = map[string]sample{
	"customer_created_null_name": {version: "2023-10-16", eventType: typeCreated, object: "cus_TBkq4vHn8sWm2R", created: "2026-10-05T08:12:44Z", key: true,
		fields: &tandem.Fields{Email: "newsletter@example.org"}},
	"customer_created_unicode": {version: "2024-06-20", eventType: typeCreated, object: "cus_TBz7Lw0pYd3KxU", created: "2026-10-05T23:59:59Z", key: true,
		fields: &tandem.Fields{Name: "山田 太郎 🗻", Email: "taro.yamada@example.com", Phone: "+81 3-1234-5678",
			Address: tandem.Address{Line1: "丸の内1丁目9-1 グラントウキョウ", Line2: "Büro „Süd“, 3. Stock", City: "千代田区",
				State: "東京都", PostalCode: "100-6701", Country: "JP"},
			Metadata: map[string]string{"größe": "klein", "note": "Grüße aus München & Zürich ✓"}}},
	"customer_pair_1_created": {version: "2025-03-31.basil", eventType: typeCreated, object: "cus_TC0dR5mXq2NbGe", created: "2026-10-06T14:03:10Z", key: true,
		fields: &tandem.Fields{Name: "Marie Dubois", Email: "marie.dubois@example.org", Metadata: map[string]string{"plan": "starter"}}},
	"customer_pair_2_updated": {version: "2025-03-31.basil", eventType: typeUpdated, object: "cus_TC0dR5mXq2NbGe", created: "2026-10-06T14:09:31Z",
		fields: &tandem.Fields{Name: "Marie Dubois-Laurent", Email: "marie.dubois@example.org", Phone: "+33 1 23 45 67 89",
			Address:  tandem.Address{Line1: "10 rue de la Paix", City: "Paris", PostalCode: "75002", Country: "FR"},
			Metadata: map[string]string{"plan": "starter", "sales_rep": "K. Osei"}}},
	"customer_created_full": {version: "2026-08-26.dahlia", eventType: typeCreated, object: "cus_TCIjW9aFz6VtQp", created: "2026-10-07T09:30:00Z", key: true,
		fields: &tandem.Fields{Name: "Thandiwe Nkosi", Email: "thandiwe@nkosi-furniture.example.com", Phone: "+27 21 555 0143",
			Address:  tandem.Address{Line1: "14 Long Street", Line2: "Unit 3", City: "Cape Town", State: "Western Cape", PostalCode: "8001", Country: "ZA"},
			Metadata: map[string]string{"crm_id": "0065g00000Q4kqA", "industry": "furniture", "plan": "enterprise", "vat_checked": "2026-10-01"}}},
	"customer_deleted_full_object": {version: "2020-08-27", eventType: typeDeleted, object: "cus_T0lmE3xNs7HyCa", created: "2026-10-07T17:45:21Z", deleted: true,
		fields: &tandem.Fields{Name: "Pedro Álvarez", Email: "pedro.alvarez@example.org"}},
	"customer_deleted_stub": {version: "2023-10-16", eventType: typeDeleted, object: "cus_S9wzK1rTq4JoBi", created: "2026-10-07T17:50:02Z", deleted: true,
		fields: &tandem.Fields{}, absent: 5},
	"customer_created_external_id": {version: "2020-08-27", eventType: typeCreated, object: "cus_TCcPs8eUy1LgZk", created: "2026-10-08T06:20:00Z", key: true,
		fields: &tandem.Fields{Name: "Ingrid Solheim", Email: "ingrid.solheim@example.org", Phone: "+47 22 12 34 56",
			Metadata: map[string]string{"segment": "smb"}, Reserved: map[string]string{"external_id": "crm-48213"}}},
	"invoice_paid":  {version: "2024-06-20", eventType: "invoice.paid", object: "in_1SFvCOKdMuQ0bVnT5QmXz9Yc", created: "2026-10-08T07:00:00Z"},
	"v2_thin_event": {eventType: "v2.core.account.updated", object: "acct_1SFvRaKdMuQ0bVnT", created: "2026-10-08T07:15:42Z"},
}

func TestWebhookBodies(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(webhookBodies, "*.json"))
	require.NoError(t, err)
	require.Len(t, files, len(samples), "every file has a row here, and the other way round")
	p := setup(t, answering(200, ""))
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want, ok := samples[name]
			require.True(t, ok)
			body, err := os.ReadFile(file)
			require.NoError(t, err)
			h := http.Header{}
			h.Set("Stripe-Signature", signed(string(body), delivered, testSecret))
			e, err := p.VerifyWebhook(h, body, delivered)
			require.NoError(t, err)
			want.check(t, e)
		})
	}
}

// delivered is after all of them were made.
var delivered = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)

func (want sample) check(t *testing.T, e tandem.Event) {
	t.Helper()
	at, err := time.Parse(time.RFC3339, want.created)
	require.NoError(t, err)
	require.Equal(t, []any{want.version, want.eventType, want.object, at}, []any{e.APIVersion, e.Type, e.ObjectID, e.Created})
	require.Equal(t, want.key, e.Key != "")
	require.False(t, e.Livemode)
	if want.fields == nil {
		require.Nil(t, e.State)
		return
	}
	require.NotNil(t, e.State)
	require.Equal(t, want.deleted, e.State.Deleted)
	require.Len(t, e.State.Absent, want.absent)
	require.True(t, want.fields.Equal(e.State.Fields), "%+v", e.State.Fields)
	if want.absent == 0 {
		require.NotNil(t, e.State.Fields.Reserved)
		require.Len(t, e.State.Fields.Reserved, len(want.fields.Reserved))
	}
	require.Equal(t, at, e.State.SeenTo)
}
