package stripetest

import (
	"maps"
	"net/url"
	"slices"
	"time"
)

// Endpoint is a webhook endpoint with its secrets.
type Endpoint struct {
	ID            string            `json:"id"`
	URL           string            `json:"url"`
	Secrets       []string          `json:"secrets"` // all that sign now, newest first
	EnabledEvents []string          `json:"enabled_events"`
	APIVersion    string            `json:"api_version"` // of the bodies sent to it; empty is the account's
	Status        string            `json:"status"`      // enabled or disabled
	Description   string            `json:"description,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	Created       int64             `json:"created"`
}

type endpoint struct {
	Endpoint
	secrets    []secret
	configured bool // made from Options.WebhookURL
}

type secret struct {
	value   string
	expires time.Time // zero: never
}

// endpointBody is the API object; the secret shows only at creation.
type endpointBody struct {
	ID            string            `json:"id"`
	Object        string            `json:"object"`
	APIVersion    *string           `json:"api_version"`
	Application   *string           `json:"application"`
	Created       int64             `json:"created"`
	Description   *string           `json:"description"`
	EnabledEvents []string          `json:"enabled_events"`
	Livemode      bool              `json:"livemode"`
	Metadata      map[string]string `json:"metadata"`
	Secret        string            `json:"secret,omitempty"`
	Status        string            `json:"status"`
	URL           string            `json:"url"`
}

func (e *endpoint) body() endpointBody {
	return endpointBody{
		ID: e.ID, Object: "webhook_endpoint", APIVersion: null(e.APIVersion), Created: e.Created,
		Description: null(e.Description), EnabledEvents: e.EnabledEvents, Metadata: e.Metadata, Status: e.Status, URL: e.URL,
	}
}

// wants reports whether an event of this type goes to the endpoint.
func (e *endpoint) wants(typ string) bool {
	return e.Status == "enabled" && (slices.Contains(e.EnabledEvents, "*") || slices.Contains(e.EnabledEvents, typ))
}

// signing lists the secrets in force, newest first.
func (e *endpoint) signing(now time.Time) []string {
	var out []string
	for _, s := range e.secrets {
		if s.expires.IsZero() || now.Before(s.expires) {
			out = append(out, s.value)
		}
	}
	return out
}

func (e *endpoint) view(now time.Time) Endpoint {
	v := e.Endpoint
	v.Secrets = e.signing(now)
	v.EnabledEvents, v.Metadata = slices.Clone(e.EnabledEvents), maps.Clone(e.Metadata)
	return v
}

// AddWebhookEndpoint adds an endpoint for every event type. Without a secret
// one is made; several all sign, as while a secret is being rolled.
func (s *Server) AddWebhookEndpoint(url string, secrets ...string) Endpoint {
	return s.AddEndpoint(Endpoint{URL: url, Secrets: secrets})
}

// AddEndpoint adds an endpoint; URL is needed, the rest has defaults.
func (s *Server) AddEndpoint(spec Endpoint) Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addEndpoint(spec).view(s.now())
}

func (s *Server) addEndpoint(spec Endpoint) *endpoint {
	if len(spec.Secrets) == 0 {
		spec.Secrets = []string{s.ids.make("whsec_", 32)}
	}
	if len(spec.EnabledEvents) == 0 {
		spec.EnabledEvents = []string{"*"}
	}
	if spec.Metadata == nil {
		spec.Metadata = map[string]string{}
	}
	e := &endpoint{Endpoint: spec}
	e.ID, e.Status, e.Created = s.ids.make("we_", 24), "enabled", s.now().Unix()
	e.setSecrets(spec.Secrets)
	s.endpoints = append(s.endpoints, e)
	s.changed()
	return e
}

// configureEndpoint makes the endpoint of Options.WebhookURL, or moves the one
// a StateFile remembers: the port may be another one today.
func (s *Server) configureEndpoint(url string, secrets []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.endpoints {
		if e.configured {
			e.URL = url
			if len(secrets) > 0 {
				e.setSecrets(secrets)
			}
			return
		}
	}
	s.addEndpoint(Endpoint{URL: url, Secrets: secrets}).configured = true
}

func (e *endpoint) setSecrets(values []string) {
	e.secrets = nil
	for _, v := range values {
		e.secrets = append(e.secrets, secret{value: v})
	}
}

// Endpoints returns the endpoints, oldest first.
func (s *Server) Endpoints() []Endpoint {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Endpoint, 0, len(s.endpoints))
	for _, e := range s.endpoints {
		out = append(out, e.view(s.now()))
	}
	return out
}

// EnableEndpoint switches an endpoint on or off. Deliveries that fall due
// while it is off are given up for good, as Stripe does.
func (s *Server) EnableEndpoint(id string, on bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoint(id)
	if e == nil {
		return noSuch("webhook endpoint", id)
	}
	e.Status = "disabled"
	if on {
		e.Status = "enabled"
	}
	s.changed()
	return nil
}

// RollSecret gives an endpoint a new secret; the old ones keep signing for a
// while, by the clock. An empty next is made up.
func (s *Server) RollSecret(id, next string, keepOld time.Duration) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.endpoint(id)
	if e == nil {
		return "", noSuch("webhook endpoint", id)
	}
	if next == "" {
		next = s.ids.make("whsec_", 32)
	}
	until := s.now().Add(keepOld)
	for i := range e.secrets {
		if e.secrets[i].expires.IsZero() || e.secrets[i].expires.After(until) {
			e.secrets[i].expires = until
		}
	}
	e.secrets = append([]secret{{value: next}}, e.secrets...)
	s.changed()
	return next, nil
}

func (s *Server) endpoint(id string) *endpoint {
	for _, e := range s.endpoints {
		if e.ID == id {
			return e
		}
	}
	return nil
}

// checkEndpoint holds what the parameter table cannot say.
func checkEndpoint(n *node) *apiError {
	u, err := url.Parse(n.text0("url"))
	if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return badRequest("url_invalid", "url", "Invalid URL: An explicit scheme (such as https) must be provided.")
	}
	return nil
}

func (s *Server) createEndpoint(c *call) (any, *apiError) {
	e := s.addEndpoint(Endpoint{
		URL: c.form.text0("url"), EnabledEvents: c.form.kid("enabled_events").list(),
		APIVersion: c.form.text0("api_version"), Description: c.form.text0("description"), Metadata: c.form.kid("metadata").dict(),
	})
	body := e.body()
	body.Secret = e.secrets[0].value
	return body, nil
}

func (s *Server) retrieveEndpoint(c *call) (any, *apiError) {
	e := s.endpoint(c.id)
	if e == nil {
		return nil, noSuch("webhook endpoint", c.id)
	}
	return e.body(), nil
}

func (s *Server) listEndpoints(c *call) (any, *apiError) {
	find := func(id string) (int, bool) {
		i := slices.IndexFunc(s.endpoints, func(e *endpoint) bool { return e.ID == id })
		return i, i >= 0
	}
	return paginate(c, "webhook endpoint", 0, len(s.endpoints), find, func(i int) (any, bool) { return s.endpoints[i].body(), true })
}
