//go:build bench

package bench_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	connections = 32
	perCustomer = 2 // a creation and edits, sent in their order
)

// What is promised is promised of 20,000 events; BENCH_EVENTS makes a shorter look.
var (
	events    = number("BENCH_EVENTS", 20_000)
	customers = events / perCustomer
)

// TestWebhooks sends events nobody has seen, as fast as they are answered, and waits until all of them are applied:
// with Temporal there, and again with Temporal stopped for the time of the sending. Then the same events once more, which
// are duplicates, and new events that say nothing new, which is what echoes of our own writes are.
func TestWebhooks(t *testing.T) {
	s := startStack(t)
	s.round(t, "w", 200)
	s.drained(t, time.Now())

	t.Run("baseline", func(t *testing.T) {
		before := s.used(t)
		sent := s.baseline(t)
		sent.report("one upsert, nothing kept", sent.took, s.used(t).per(events, before))
	})
	t.Run("temporal_there", func(t *testing.T) {
		begun, before := time.Now(), s.used(t)
		sent := s.round(t, "a", customers)
		sent.report("new, Temporal there", s.drained(t, begun), s.used(t).per(events, before))
		s.complete(t, "a")
	})
	t.Run("duplicates", func(t *testing.T) {
		before := s.used(t)
		s.round(t, "a", customers).report("duplicates", 0, s.used(t).per(events, before))
	})
	t.Run("echoes", func(t *testing.T) {
		before := s.used(t)
		s.send(t, "a", customers, perCustomer, 2*perCustomer, perCustomer-1).report("echoes", 0, s.used(t).per(events, before))
		require.Zero(t, s.count(t, `SELECT count(*) FROM provider_events WHERE state = 'received'`))
	})
	t.Run("temporal_stopped", func(t *testing.T) {
		s.stopTemporal(t)
		before := s.used(t)
		sent := s.round(t, "b", customers)
		waiting := s.count(t, `SELECT count(*) FROM provider_events WHERE state = 'received'`)
		sent.report("new, Temporal stopped", sent.took, s.used(t).per(events, before))
		s.startTemporal(t)
		fmt.Printf("  (%d of them waited for Temporal, and for %.1f s after it was back)\n", waiting, s.drained(t, time.Now()).Seconds())
		require.Less(t, waiting, events/20, "those that were given to workflows before anybody knew that Temporal is away")
		s.complete(t, "b")
	})
}

// round sends each customer's creation and edits.
func (s *stack) round(t *testing.T, tag string, customers int) sent {
	return s.send(t, tag, customers, 0, perCustomer, -1)
}

// send sends events number from to to of every customer; says is the revision they all carry, or -1 for their own.
func (s *stack) send(t *testing.T, tag string, customers, from, to, says int) sent {
	t.Helper()
	conns := make([]*connection, connections)
	for c := range conns {
		conns[c] = s.connect(t)
		defer conns[c].Close()
	}
	latencies := make([][]time.Duration, connections)
	errs := make([]error, connections)
	begun := time.Now()
	var all sync.WaitGroup
	for c := range connections {
		all.Go(func() {
			for n := from; n < to && errs[c] == nil; n++ {
				for i := c; i < customers && errs[c] == nil; i += connections {
					revision := n
					if says >= 0 {
						revision = says
					}
					at := time.Now()
					errs[c] = conns[c].deliver(body(tag, i, n, revision))
					latencies[c] = append(latencies[c], time.Since(at))
				}
			}
		})
	}
	all.Wait()
	took := time.Since(begun)
	for _, err := range errs {
		require.NoError(t, err)
	}
	flat := slices.Concat(latencies...)
	slices.Sort(flat)
	return sent{flat, took}
}

var year = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// body is what Stripe sends, white space included.
func body(tag string, customer, n, revision int) []byte {
	kind := "customer.updated"
	if n == 0 {
		kind = "customer.created"
	}
	return fmt.Appendf(nil, `{
  "id": "evt_%[1]s%[2]dx%[3]d",
  "object": "event",
  "api_version": "2023-10-16",
  "created": %[5]d,
  "data": {
    "object": {
      "id": "cus_%[1]s%[2]d",
      "object": "customer",
      "address": {"city": "Bath", "country": "GB", "line1": "%[2]d Long Street", "line2": null, "postal_code": "BA1 1AA", "state": null},
      "balance": 0, "created": %[6]d, "currency": null, "default_source": null, "delinquent": false, "description": null, "discount": null,
      "email": "person.%[2]d@example.org",
      "invoice_prefix": "AB12CD34",
      "invoice_settings": {"custom_fields": null, "default_payment_method": null, "footer": null, "rendering_options": null},
      "livemode": false,
      "metadata": {"plan": "pro", "revision": "%[4]d"},
      "name": "Person %[2]d, revision %[4]d",
      "next_invoice_sequence": 1, "phone": "+44 1225 000000", "preferred_locales": [], "shipping": null, "tax_exempt": "none", "test_clock": null
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {"id": "req_%[1]s%[2]dx%[3]d", "idempotency_key": null},
  "type": "%[7]s"
}`, tag, customer, n, revision, year+int64(10*n), year, kind)
}

// connection sends one request after the other. net/http's client would take as much of the processor as Tandem does.
type connection struct {
	net.Conn
	host string
	in   *bufio.Reader
	out  []byte
}

func (s *stack) connect(t *testing.T) *connection {
	t.Helper()
	host := strings.TrimPrefix(s.at.API, "http://")
	conn, err := net.Dial("tcp", host)
	require.NoError(t, err)
	return &connection{Conn: conn, host: host, in: bufio.NewReader(conn)}
}

func (c *connection) deliver(body []byte) error {
	at := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte("whsec_dev_tandem"))
	mac.Write([]byte(at + "."))
	mac.Write(body)
	c.out = fmt.Appendf(c.out[:0], "POST /v1/webhooks/stripe HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"+
		"Stripe-Signature: t=%s,v1=%x\r\n\r\n", c.host, len(body), at, mac.Sum(nil))
	if _, err := c.Write(append(c.out, body...)); err != nil {
		return err
	}
	res, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("answered %d: %s", res.StatusCode, raw)
	}
	return errors.Join(err, res.Body.Close())
}

// anyWaiting is 1 while something waits; counting all of it, many times a second, would be part of what is measured.
const anyWaiting = `SELECT CASE WHEN EXISTS (SELECT 1 FROM provider_events WHERE state = 'received') THEN 1 ELSE 0 END`

// drained waits until nothing waits any more, and says how long that took since begun.
func (s *stack) drained(t *testing.T, begun time.Time) time.Duration {
	t.Helper()
	require.Eventually(t, func() bool { return s.count(t, anyWaiting) == 0 }, 5*time.Minute, 100*time.Millisecond)
	return time.Since(begun)
}

// complete holds the outcome to what was sent: every customer is here once, and its last edit won.
func (s *stack) complete(t *testing.T, tag string) {
	t.Helper()
	require.Equal(t, customers, s.count(t, `
		SELECT count(*) FROM customers c
		JOIN entity_integration_mappings m ON m.entity_id = c.id AND m.archived_at IS NULL AND m.state = 'synced'
		WHERE m.provider_entity_id LIKE $1 AND c.metadata->>'revision' = $2 AND c.name LIKE '%revision ' || $2`,
		"cus_"+tag+"%", strconv.Itoa(perCustomer-1)))
	require.Equal(t, customers, s.count(t, `SELECT count(*) FROM entity_integration_mappings WHERE provider_entity_id LIKE $1`, "cus_"+tag+"%"))
	require.Zero(t, s.count(t, `SELECT count(*) FROM provider_events WHERE state NOT IN ('applied', 'echo')`))
}

// sent is what a round of deliveries took.
type sent struct {
	latencies []time.Duration // sorted
	took      time.Duration
}

// report prints one line; applied is until the last event was applied, 0 when there was nothing to apply.
func (s sent) report(name string, applied time.Duration, cost string) {
	n := float64(len(s.latencies))
	line := fmt.Sprintf("%-24s %7.0f acknowledged/s   p50 %5.1f ms  p99 %5.1f ms  max %6.1f ms", name, n/s.took.Seconds(),
		s.at(0.50), s.at(0.99), s.at(1))
	if applied > 0 {
		line += fmt.Sprintf("   %7.0f applied/s", n/applied.Seconds())
	}
	fmt.Printf("%s\n%24s %s\n", line, "", cost)
}

func (s sent) at(quantile float64) float64 {
	i := min(int(quantile*float64(len(s.latencies))), len(s.latencies)-1)
	return float64(s.latencies[i].Microseconds()) / 1000
}
