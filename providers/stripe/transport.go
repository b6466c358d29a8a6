package stripe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// How much of an answer is read. One customer is at most some 150 KB (50 metadata values, six address lines), a page
// holds a hundred of them.
const (
	maxAnswer = 4 << 20
	maxPage   = 32 << 20
)

var errTooLarge = errors.New("the answer is larger than any answer of Stripe")

// op is a kind of call; it decides what a lost answer means.
type op struct {
	name  string
	write bool // a lost answer leaves it open whether it happened
	keyed bool // sent with an idempotency key, so Stripe remembers the first result, a 500 too
}

var (
	opCreate  = op{name: "create", write: true, keyed: true}
	opUpdate  = op{name: "update", write: true, keyed: true}
	opDelete  = op{name: "delete", write: true}
	opFetch   = op{name: "fetch"}
	opList    = op{name: "list"}
	opEvents  = op{name: "events"}
	opAccount = op{name: "account"}
)

// paged reports whether the call reads a list.
func (o op) paged() bool { return o == opList || o == opEvents }

// call is what the transport saw of one call. stripe-go keeps neither status nor headers when the body is no JSON, so
// classification works from this record and not from stripe-go's error types.
type call struct {
	op      op
	key     string
	limit   int64
	started time.Time

	took      time.Duration // until the headers came, or the failure
	status    int           // 0: no answer
	header    http.Header
	page      []byte // the answer to a call that reads a list
	bodyErr   error  // the answer broke off, or was too large
	dialling  atomic.Bool
	connected atomic.Bool
}

// unsent reports proof that nothing reached Stripe: a connection was asked for and never had. A transport that knows
// nothing of httptrace gives no proof, and then the request counts as sent.
func (c *call) unsent() bool { return c.dialling.Load() && !c.connected.Load() }

// check adds to stripe-go's verdict, which takes everything below 400 for success, redirects included.
func (c *call) check(err error) error {
	if err == nil && c.status/100 != 2 {
		return errUnreadable
	}
	return err
}

func (c *call) requestID() string { return c.header.Get("Request-Id") }

type callKey struct{}

func withCall(ctx context.Context, c *call) context.Context {
	return httptrace.WithClientTrace(context.WithValue(ctx, callKey{}, c), &httptrace.ClientTrace{
		GetConn: func(string) { c.dialling.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { c.connected.Store(true) },
	})
}

// newHTTPClient follows no redirect: Stripe sends none, so one means a wrong base URL, and following it could take a
// key to a stranger. It has no timeout of its own: every call brings a deadline.
func newHTTPClient(base http.RoundTripper) *http.Client {
	if base == nil {
		base = newTransport()
	}
	return &http.Client{
		Transport:     recorder{base},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func newTransport() *http.Transport {
	t := &http.Transport{Proxy: http.ProxyFromEnvironment}
	if d, ok := http.DefaultTransport.(*http.Transport); ok {
		t = d.Clone()
	}
	t.MaxIdleConns, t.MaxIdleConnsPerHost = 64, 64 // the default keeps two, and a TLS handshake costs more than a call
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	return t
}

// unreplayable is the Idempotency-Key header in a spelling that keeps net/http from sending a write a second time by
// itself. When a reused connection breaks after the request was written, http.Transport replays any request with that
// header. It would be harmless, as the key is the same, but it hides an attempt from Temporal and from the log. The
// rule looks the header up by its canonical name, so in lower case it does not see it; to Stripe it is the same header,
// and HTTP/2 sends it so anyway. A request of which nothing was written is still sent again, as it should be, and so
// are reads: they change nothing.
const unreplayable = "idempotency-key"

// recorder writes down what happened to a call, in the call that the context carries.
type recorder struct{ base http.RoundTripper }

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	c, ok := req.Context().Value(callKey{}).(*call)
	if !ok {
		return nil, errors.New("stripe: a request outside of a call")
	}
	req = req.Clone(req.Context())
	req.Header.Del("X-Stripe-Client-User-Agent") // carries the output of uname, host name included
	req.Header.Del("Idempotency-Key")            // stripe-go makes one up for a DELETE, where it has no effect
	if c.op.keyed {
		req.Header[unreplayable] = []string{c.key}
	}
	start := time.Now()
	res, err := r.base.RoundTrip(req)
	c.took = time.Since(start)
	if err != nil {
		return nil, err
	}
	c.status, c.header = res.StatusCode, res.Header
	res.Body = &body{ReadCloser: res.Body, call: c, left: c.limit}
	if c.op.paged() && res.StatusCode/100 == 2 {
		if err := c.keepPage(res); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// keepPage takes a page out of the answer and leaves stripe-go an empty object: it would check and copy the page four
// times over to unpack nothing, which was half of what a walk over whole books cost.
func (c *call) keepPage(res *http.Response) error {
	var b bytes.Buffer
	b.Grow(int(min(max(res.ContentLength, 0), c.limit)) + bytes.MinRead)
	_, err := b.ReadFrom(res.Body)
	c.page = b.Bytes()
	_ = res.Body.Close() // it was read, or its failure is the one that counts
	res.Body = io.NopCloser(strings.NewReader("{}"))
	return err
}

func (r recorder) CloseIdleConnections() {
	if t, ok := r.base.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// body fails, rather than ends, when an answer is too large, and remembers that it failed.
type body struct {
	io.ReadCloser
	call *call
	left int64
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		n, err = 0, errTooLarge
	}
	if err != nil && !errors.Is(err, io.EOF) {
		b.call.bodyErr = err
	}
	return n, err
}
