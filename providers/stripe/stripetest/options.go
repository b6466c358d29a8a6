package stripetest

import (
	"io"
	"log/slog"
	"time"
)

// Options shape a stand-in at its start. The zero value works.
type Options struct {
	Addr        string // of the API; default 127.0.0.1:0
	ControlAddr string // of the control API; default 127.0.0.1:0

	APIKeys    []string // keys let in; default: any sk_test_… or rk_test_…
	AccountID  string   // answered by GET /v1/account
	APIVersion string   // the account's default version; default 2023-10-16

	WebhookURL     string   // adds an endpoint for every event, or moves the one StateFile has from an earlier WebhookURL
	WebhookSecrets []string // of that endpoint; all of them sign, as while rolling; none keeps those of StateFile

	// StateFile keeps the account over restarts: read at the start if it is
	// there, written at Close and at most once a second after a change. One
	// stand-in at a time. README.md says what is kept.
	StateFile string

	Clock            func() time.Time // default time.Now
	DeterministicIDs bool             // same Seed, same sequence of ids and random choices
	Seed             uint64
	Logger           *slog.Logger // ids and states only, never customer data; default: silent

	Settings Settings
}

// Settings are the knobs that may be turned while the stand-in runs. Durations
// pass in real time, except that AdvanceClock skips over webhook waits.
type Settings struct {
	Latency         time.Duration // added to every API request
	LatencyJitter   time.Duration // at most this much more, at random
	RatePerEndpoint float64       // requests per second per endpoint, 0 is off; Stripe's default is 25
	RateGlobal      float64       // requests per second for the account, 0 is off; a sandbox has 25

	ReplaceAddress       bool          // a partial address replaces the stored one instead of merging into it
	SearchLag            time.Duration // by the clock; what search sees is this old
	ForgetDeletedCursors bool          // a list cannot go on behind a deleted customer; whether it can at Stripe is not documented
	EmitNoopEvents       bool          // an update that changes nothing emits customer.updated too
	DashboardNoReqID     bool          // edits by a person emit events with request.id null
	DeletedObject        string        // data.object of customer.deleted: full, stub or alternate (default)

	TwinEvents bool // every change makes two distinct Event objects
	LoseEvents int  // the next n events are never generated: not delivered, not listed

	WebhookDelay       time.Duration // before the first attempt
	WebhookJitter      time.Duration // at most this much more, at random: natural reordering
	WebhookDuplicates  int           // extra deliveries of every event
	WebhookReorder     int           // collect n first deliveries, then send them last one first
	WebhookReorderWait time.Duration // send an incomplete collection after this; default 1s
	WebhookDropNext    int           // the next n deliveries are never attempted
	WebhookDropRate    float64       // share of deliveries never attempted, 0 to 1
	WebhookConcurrency int           // attempts under way at once; default 8; 1 delivers in order
	WebhookTimeout     time.Duration // of one attempt; default 10s
	RetryFirst         time.Duration // wait before the second attempt, doubled each time; default 1s
	RetryMax           time.Duration // longest wait; default 1m
	MaxAttempts        int           // default 8

	EchoFirst   bool          // answer a write only after the first attempt to deliver its events
	EchoTimeout time.Duration // longest wait for that; default 5s
}

func (o Options) withDefaults() Options {
	o.Addr = orElse(o.Addr, "127.0.0.1:0")
	o.ControlAddr = orElse(o.ControlAddr, "127.0.0.1:0")
	o.AccountID = orElse(o.AccountID, "acct_1StandInForStripe")
	o.APIVersion = orElse(o.APIVersion, "2023-10-16")
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	}
	o.Settings = o.Settings.withDefaults()
	return o
}

func (s Settings) withDefaults() Settings {
	s.DeletedObject = orElse(s.DeletedObject, "alternate")
	s.WebhookReorderWait = orElse(s.WebhookReorderWait, time.Second)
	s.WebhookConcurrency = orElse(s.WebhookConcurrency, 8)
	s.WebhookTimeout = orElse(s.WebhookTimeout, 10*time.Second)
	s.RetryFirst = orElse(s.RetryFirst, time.Second)
	s.RetryMax = orElse(s.RetryMax, time.Minute)
	s.MaxAttempts = orElse(s.MaxAttempts, 8)
	s.EchoTimeout = orElse(s.EchoTimeout, 5*time.Second)
	return s
}

func orElse[T comparable](v, fallback T) T {
	var zero T
	if v == zero {
		return fallback
	}
	return v
}

// Settings returns the knobs as they stand.
func (s *Server) Settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.settings
}

// Configure turns knobs. Zero falls back to the default where there is one.
// What is already on its way keeps the plan it was given.
func (s *Server) Configure(turn func(*Settings)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	turn(&s.settings)
	s.settings = s.settings.withDefaults()
	s.limits = newLimits(s.settings)
	s.changed()
	s.wakeDispatcher()
}
