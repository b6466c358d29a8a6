package stripetest

import (
	"net/http"
	"strings"
)

// route is one operation of the API. check refuses before execution, run
// executes under the lock.
type route struct {
	op     string
	params params
	check  func(*node) *apiError
	run    func(*Server, *call) (any, *apiError)
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, rt := range map[string]route{
		"POST /v1/customers":         {"create", createParams, expandIn(""), (*Server).createCustomer},
		"POST /v1/customers/{id}":    {"update", updateParams, expandIn(""), (*Server).updateCustomer},
		"GET /v1/customers/{id}":     {"retrieve", retrieveParams, expandIn(""), (*Server).retrieveCustomer},
		"DELETE /v1/customers/{id}":  {"delete", params{}, nil, (*Server).deleteCustomer},
		"GET /v1/customers":          {"list", listParams, both(expandIn("data."), checkPage), (*Server).listCustomers},
		"GET /v1/customers/search":   {"search", searchParams, both(expandIn("data."), checkPage), (*Server).searchCustomers},
		"GET /v1/account":            {"account", retrieveParams, nil, (*Server).retrieveAccount},
		"GET /v1/events":             {"events", eventListParams, both(checkPage, checkEventList), (*Server).listEvents},
		"GET /v1/events/{id}":        {"event", retrieveParams, nil, (*Server).retrieveEvent},
		"POST /v1/webhook_endpoints": {"webhook_endpoints", endpointParams, checkEndpoint, (*Server).createEndpoint},
		"GET /v1/webhook_endpoints":  {"webhook_endpoints", pageParams, checkPage, (*Server).listEndpoints},
		"GET /v1/webhook_endpoints/{id}": {"webhook_endpoints", retrieveParams, nil,
			(*Server).retrieveEndpoint},
		"/": {op: "unknown", run: func(_ *Server, c *call) (any, *apiError) {
			return nil, unrecognizedURL(c.method, c.path)
		}},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { s.serve(w, r, rt) })
	}
	return mux
}

func expandIn(prefix string) func(*node) *apiError {
	return func(n *node) *apiError { return checkExpand(n, prefix) }
}

func both(first, second func(*node) *apiError) func(*node) *apiError {
	return func(n *node) *apiError {
		if err := first(n); err != nil {
			return err
		}
		return second(n)
	}
}

func (s *Server) createCustomer(c *call) (any, *apiError) {
	return c.wrote(s.insert(c.origin()))
}

func (s *Server) updateCustomer(c *call) (any, *apiError) {
	return c.wrote(s.modify(c.id, c.origin()))
}

func (s *Server) deleteCustomer(c *call) (any, *apiError) {
	return c.wrote(s.remove(c.id, c.origin()))
}

// retrieveCustomer answers a deleted customer with its stub and 200.
func (s *Server) retrieveCustomer(c *call) (any, *apiError) {
	rec := s.customers[c.id]
	if rec == nil {
		return nil, noSuch("customer", c.id)
	}
	return rec.now, nil
}

func (s *Server) retrieveAccount(*call) (any, *apiError) {
	return map[string]any{
		"id": s.opts.AccountID, "object": "account", "type": "standard", "country": "US", "default_currency": "usd",
		"email": nil, "business_type": nil, "charges_enabled": true, "payouts_enabled": true, "details_submitted": true,
	}, nil
}

// authenticate takes the key from Bearer or basic authentication.
func (s *Server) authenticate(r *http.Request) *apiError {
	key, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		key, _, _ = r.BasicAuth()
	}
	key = strings.TrimSpace(key)
	s.mu.Lock()
	known := s.apiKeys
	s.mu.Unlock()
	switch {
	case key == "":
		return unauthorized("", "You did not provide an API key. You need to provide your API key in the Authorization header, "+
			"using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').")
	case strings.HasPrefix(key, "pk_"):
		return unauthorized("secret_key_required", "This API call cannot be made with a publishable API key. Please use a secret API key.")
	case !accepts(known, key):
		return invalidKey(key)
	}
	return nil
}

func accepts(known []string, key string) bool {
	if len(known) == 0 {
		return strings.HasPrefix(key, "sk_test_") || strings.HasPrefix(key, "rk_test_")
	}
	for _, k := range known {
		if k == key {
			return true
		}
	}
	return false
}
