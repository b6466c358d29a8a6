package stripetest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

const maxBody = 1 << 20

var versionShape = regexp.MustCompile(`^\d{4}-\d{2}-\d{2}(\.[a-z_]+)?$`)

// call is one API request on its way through the gates.
type call struct {
	route
	http         *http.Request
	method, path string
	id           string // from the path
	values       url.Values
	form         *node
	key          string // Idempotency-Key, of a POST only: elsewhere it has no effect
	version      string
	requestID    string
	events       []*event
	entry        *Operation
	malformed    *apiError
}

// answer is what goes back, unless a fault gets in between.
type answer struct {
	status   int
	body     []byte
	header   http.Header
	bare     bool   // no Request-Id, no Stripe-Version
	original string // request that executed, when a key was used
	replayed bool
	executed bool // now or, for a replay, back then: only such answers can be spoiled
}

func (s *Server) newCall(w http.ResponseWriter, r *http.Request, rt route) *call {
	c := &call{route: rt, http: r, method: r.Method, path: r.URL.Path, id: r.PathValue("id")}
	c.version = orElse(r.Header.Get("Stripe-Version"), s.opts.APIVersion)
	if r.Method == http.MethodPost {
		c.key = r.Header.Get("Idempotency-Key")
	}
	c.values, c.malformed = readValues(w, r)
	if c.malformed == nil {
		c.form, c.malformed = parseForm(c.values)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.requestID = s.ids.make("req_", 14)
	c.entry = &Operation{
		Actor: ActorAPI, Method: c.method, Path: c.path, Op: c.op, IdempotencyKey: c.key, RequestID: c.requestID, Form: c.values,
	}
	if strings.HasPrefix(c.path, "/v1/customers/") {
		c.entry.CustomerID = c.id
	}
	return c
}

// readValues joins query and body; Stripe takes parameters from both.
func readValues(w http.ResponseWriter, r *http.Request) (url.Values, *apiError) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, badRequest("", "", "Invalid query string")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if tooLarge := (*http.MaxBytesError)(nil); errors.As(err, &tooLarge) {
			status = http.StatusRequestEntityTooLarge
		}
		return nil, &apiError{status: status, Type: typeInvalid, Message: "The request body could not be read."}
	}
	if len(body) == 0 {
		return values, nil
	}
	more, err := url.ParseQuery(string(body))
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		return nil, badRequest("", "", "Invalid request (check that your POST content type is application/x-www-form-urlencoded).")
	}
	for name, vs := range more {
		values[name] = append(values[name], vs...)
	}
	return values, nil
}

// origin is how an API request names itself in log and event.
func (c *call) origin() origin {
	return origin{form: c.form, entry: c.entry, by: eventRequest{ID: &c.requestID, IdempotencyKey: null(c.key)}}
}

// wrote notes the events of a write.
func (c *call) wrote(customer *Customer, events []*event, err *apiError) (any, *apiError) {
	if err != nil {
		return nil, err
	}
	c.events = events
	c.entry.EventIDs = eventIDs(events)
	return customer, nil
}

// valid runs the checks that come before execution.
func (c *call) valid() *apiError {
	switch {
	case c.malformed != nil:
		return c.malformed
	case len(c.key) > maxKeyLength:
		return badRequest("", "", "Idempotency keys must be at most 255 characters.")
	case !versionShape.MatchString(c.version):
		return badRequest("", "", "Invalid Stripe API version: "+c.version)
	case c.params == nil:
		return nil
	}
	if err := check(c.form, c.params, ""); err != nil {
		return err
	}
	if c.check != nil {
		return c.check(c.form)
	}
	return nil
}

// outcome turns what a route returned into its answer.
func (c *call) outcome(result any, err *apiError) answer {
	if err != nil {
		return c.failed(err)
	}
	if list, ok := result.(page); ok {
		return answer{status: http.StatusOK, body: list.render()}
	}
	return answer{status: http.StatusOK, body: render(result)}
}

// failed turns an error into its answer.
func (c *call) failed(err *apiError) answer {
	a := answer{status: err.status, header: err.header, bare: err.anonymous}
	id := c.requestID
	if a.bare {
		id = ""
	}
	a.body = render(err.with(id))
	return a
}

// setHeaders writes them as they were seen on the wire: a keyed POST echoes
// its key and the request that executed, and says Should-Retry false even
// when all is well.
func (c *call) setHeaders(h http.Header, a answer) {
	h.Set("Content-Type", "application/json")
	maps.Copy(h, a.header)
	if a.bare {
		return
	}
	h.Set("Request-Id", c.requestID)
	h.Set("Stripe-Version", c.version)
	if c.key != "" {
		h.Set("Idempotency-Key", c.key)
	}
	if a.original != "" {
		h.Set("Original-Request", a.original)
		h.Set("Stripe-Should-Retry", "false")
	}
	if a.replayed {
		h.Set("Idempotent-Replayed", "true")
	}
}

// render is Stripe's look: indented by two, no HTML escapes.
func render(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic("stripetest: an answer must always render: " + err.Error())
	}
	return slices.Clip(b.Bytes())
}
