package stripetest

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server is one stand-in: an account with its customers, events and webhook
// endpoints. One lock guards it all; nothing slow happens under it.
type Server struct {
	opts   Options
	log    *slog.Logger
	client *http.Client // for webhooks

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup // dispatcher, saver, attempts, requests, listeners

	api, control       http.Handler
	servers            []*http.Server
	apiAddr, adminAddr string

	mu       sync.Mutex
	closed   bool
	settings Settings
	apiKeys  []string
	rng      *rand.Rand
	ids      ids
	limits   limits

	clock   func() time.Time
	offset  time.Duration
	started time.Time     // for the dispatcher's time
	skipped time.Duration // what AdvanceClock added to it
	news    chan struct{} // closed and replaced at every change
	waiters int

	customers map[string]*customerRecord
	order     []string // every customer ever made, by time of creation
	deletions int

	events     []*event // of the last 30 days
	eventByID  map[string]*event
	eventCount int

	endpoints []*endpoint
	out       dispatcher

	keys    map[string]*saved
	keyAges []*saved // oldest first, for pruning

	faults     []*Fault
	faultCount int
	ops        []*Operation
	opsGone    int            // entries before the first of ops, forgotten or left behind in a restart
	opsKept    int            // entries that are not forgotten
	counts     map[string]int // entries since the start, by Op

	unsaved chan struct{} // holds a token after a change; nil without StateFile
	closing sync.Once
}

// New makes a stand-in that does not listen: use Handler and ControlHandler.
// Close it too, as it delivers webhooks.
func New(opts Options) (*Server, error) {
	s, err := build(opts)
	if err != nil {
		return nil, err
	}
	if err := s.run(); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// build makes a stand-in at rest, with the state of its StateFile.
func build(opts Options) (*Server, error) {
	opts = opts.withDefaults()
	if opts.WebhookURL == "" && len(opts.WebhookSecrets) > 0 {
		return nil, errors.New("stripetest: WebhookSecrets without WebhookURL")
	}
	s := &Server{
		opts: opts, log: opts.Logger, client: newWebhookClient(), settings: opts.Settings, apiKeys: opts.APIKeys,
		opsKept: maxOperations, counts: map[string]int{}, limits: newLimits(opts.Settings), ids: newIDs(opts.DeterministicIDs, opts.Seed),
		clock: opts.Clock, started: time.Now(), news: make(chan struct{}),
		customers: map[string]*customerRecord{}, eventByID: map[string]*event{}, keys: map[string]*saved{},
		out: dispatcher{wake: make(chan struct{}, 1), open: map[*delivery]struct{}{}},
	}
	seed := opts.Seed
	if !opts.DeterministicIDs {
		seed = rand.Uint64()
	}
	s.rng = rand.New(rand.NewPCG(seed, 0))
	if opts.StateFile != "" {
		s.unsaved = make(chan struct{}, 1)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.api, s.control = s.routes(), s.controlRoutes()
	if err := s.load(); err != nil {
		s.cancel()
		return nil, err
	}
	if opts.WebhookURL != "" {
		s.configureEndpoint(opts.WebhookURL, opts.WebhookSecrets)
	}
	return s, nil
}

// run saves first: a StateFile that cannot be written is an error at once.
func (s *Server) run() error {
	if err := s.save(); err != nil {
		return err
	}
	s.wg.Go(s.dispatch)
	if s.opts.StateFile != "" {
		s.wg.Go(s.saveChanges)
	}
	return nil
}

// Start makes a stand-in and listens on both addresses. It listens before it
// delivers what waited in the StateFile, or saves: a receiver may read back,
// and the holder of a taken port may own the file.
func Start(opts Options) (*Server, error) {
	s, err := build(opts)
	if err != nil {
		return nil, err
	}
	if s.apiAddr, err = s.listen(s.opts.Addr, s.api); err == nil {
		s.adminAddr, err = s.listen(s.opts.ControlAddr, s.control)
	}
	if err == nil {
		err = s.run()
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	s.log.Info("stripe.standin.started", "url", s.URL(), "control_url", s.ControlURL())
	return s, nil
}

func (s *Server) listen(addr string, h http.Handler) (string, error) {
	l, err := (&net.ListenConfig{}).Listen(s.ctx, "tcp", addr)
	if err != nil {
		return "", err
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second,
		// Above the longest hang a fault may ask for: an expired read deadline
		// would look like a client that gave up.
		ReadTimeout: 2 * time.Minute, WriteTimeout: 2 * time.Minute,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.servers = append(s.servers, srv)
	s.wg.Go(func() { _ = srv.Serve(l) }) // ends with ErrServerClosed
	return l.Addr().String(), nil
}

// URL is the base address of the API, without /v1.
func (s *Server) URL() string { return "http://" + s.apiAddr }

// ControlURL is the base address of the control API.
func (s *Server) ControlURL() string { return "http://" + s.adminAddr }

// Handler serves the API without listening.
func (s *Server) Handler() http.Handler { return s.api }

// ControlHandler serves the control API without listening.
func (s *Server) ControlHandler() http.Handler { return s.control }

// SetAPIKeys changes the keys let in, as when a key is revoked; none means any
// test key again.
func (s *Server) SetAPIKeys(keys ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.apiKeys = keys
	s.changed()
}

// Close cuts connections, waits for every goroutine and saves to StateFile,
// without which pending deliveries are given up. The state can still be read
// afterwards. Only the first call does anything: a later one must not
// overwrite the file of a successor.
func (s *Server) Close() {
	s.closing.Do(func() {
		s.stop()
		_ = s.saveOrLog()
	})
}

func (s *Server) stop() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	for _, srv := range s.servers {
		_ = srv.Close()
	}
	s.wg.Wait()
	s.client.CloseIdleConnections()
}

// enter counts a request in, unless the stand-in is closing.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wg.Add(1)
	}
	return !s.closed
}
