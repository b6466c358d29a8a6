package api

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tandem-sync/tandem"
)

// store is what the routes read, and the few things they write themselves.
type store interface {
	customerReader
	mappingStore
	ledger
	runStore
	// Reserve binds an Idempotency-Key to a customer id; whoever comes first decides the id. Errors:
	// CodeIdempotencyReused when the key came with another body before.
	Reserve(ctx context.Context, keyHash, bodyHash, customerID string) (tandem.Reservation, error)
	// Ingest writes the event into the ledger, or counts one more delivery of it.
	Ingest(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error)
	IngestAndApply(ctx context.Context, provider string, e tandem.Event) (tandem.Ingested, error)
}

type customerReader interface {
	Customer(ctx context.Context, id string) (tandem.Customer, error)
	CustomerByExternalID(ctx context.Context, externalID string) (tandem.Customer, error)
	Customers(ctx context.Context, q tandem.CustomerQuery) ([]tandem.Customer, error)
	Mappings(ctx context.Context, customerIDs []string) ([]tandem.Mapping, error)
	// JournalPage reads a customer's story from its beginning, or from behind the line with the id after.
	JournalPage(ctx context.Context, customerID, after string, limit int) ([]tandem.JournalEntry, error)
}

type mappingStore interface {
	// MappingByID reads one, ended ones too. Errors: CodeMappingNotFound.
	MappingByID(ctx context.Context, id string) (tandem.Mapping, error)
	ListMappings(ctx context.Context, q tandem.MappingQuery) ([]tandem.Mapping, error)
	// SetMappingMetadata replaces the metadata that is not Tandem's own, and leaves the version as it is: it says
	// nothing about the two sides. Errors: CodeMappingNotFound.
	SetMappingMetadata(ctx context.Context, id string, metadata map[string]string) (tandem.Mapping, error)
}

type ledger interface {
	// ListEvents reads one page, newest first, without payloads.
	ListEvents(ctx context.Context, q tandem.EventQuery) ([]tandem.LedgerRow, error)
	// Event reads one row with its payload. Errors: CodeEventNotFound.
	Event(ctx context.Context, id string) (tandem.LedgerRow, error)
	// Reopen has a row wait again, whatever its end was. Errors: CodeEventNotFound.
	Reopen(ctx context.Context, id string) (tandem.LedgerRow, error)
}

type runStore interface {
	// BulkRun reads one. Errors: CodeRunNotFound.
	BulkRun(ctx context.Context, id string) (tandem.BulkRun, error)
	Runs(ctx context.Context, q tandem.RunQuery) ([]tandem.BulkRun, error)
	Findings(ctx context.Context, q tandem.FindingQuery) ([]tandem.Finding, error)
	CatchUp(ctx context.Context, provider string) (tandem.CatchUp, error)
}

// Deps is what the API stands on. Store, Starter and Providers are required; APIKeys may be empty, and then no key is
// accepted. Everything else has a default.
type Deps struct {
	Store         store
	Starter       tandem.Starter
	Providers     tandem.Providers
	Merge         tandem.MergePolicy              // which fields callers may not change
	APIKeys       [][sha256.Size]byte             // see HashKey
	Ready         func(ctx context.Context) error // names the checks that failed; nil is always ready
	Whole         func(ctx context.Context) error // names what is missing of all, ready or not; nil is nothing
	Reachable     func(ctx context.Context) error // why no change can be taken, said soon; nil: none known
	ChangesAtOnce int                             // wishes of callers under way; 0 is changesAtOnce
	Logger        *slog.Logger                    // default: nowhere
	Registry      *prometheus.Registry            // default: one of its own
	Now           func() time.Time                // the clock that webhook signatures are held against
	NewID         func() string                   // customer ids
}

// Server answers HTTP. It is safe for concurrent use. Close it after its listeners.
type Server struct {
	store     store
	starter   tandem.Starter
	providers tandem.Providers
	merge     tandem.MergePolicy
	keys      [][sha256.Size]byte
	ready     func(ctx context.Context) error
	whole     func(ctx context.Context) error
	log       *slog.Logger
	registry  *prometheus.Registry
	metrics   *metrics
	handover  *handover
	now       func() time.Time
	newID     func() string
	echo      *echo.Echo
}

// New builds the server and registers its metrics.
func New(d Deps) *Server {
	d = d.withDefaults()
	s := &Server{
		store: d.Store, providers: d.Providers, merge: d.Merge, keys: d.APIKeys, ready: d.Ready, whole: d.Whole,
		log:      d.Logger,
		registry: d.Registry, metrics: newMetrics(d.Registry), now: d.Now, newID: d.NewID, echo: echo.New(),
	}
	s.starter = &gate{
		Starter: d.Starter, slots: make(chan struct{}, d.ChangesAtOnce), reachable: d.Reachable,
		refused: func(why string) { s.metrics.refused.WithLabelValues(why).Inc() },
	}
	s.handover = newHandover(d.Starter, d.Logger, func(provider, way string) { s.metrics.handovers.WithLabelValues(provider, way).Inc() })
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Use(identify, secureHeaders, s.observe, s.recoverPanic, s.authenticate)
	s.routes()
	return s
}

// Close waits for what goes on behind answers that were given. No request may come in any more.
func (s *Server) Close() { s.handover.close() }

func (d Deps) withDefaults() Deps {
	if d.Ready == nil {
		d.Ready = func(context.Context) error { return nil }
	}
	if d.Whole == nil {
		d.Whole = func(context.Context) error { return nil }
	}
	if d.Reachable == nil {
		d.Reachable = func(context.Context) error { return nil }
	}
	if d.ChangesAtOnce == 0 {
		d.ChangesAtOnce = changesAtOnce
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Registry == nil {
		d.Registry = prometheus.NewRegistry()
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.NewID == nil {
		d.NewID = func() string { return customerPrefix + newULID() }
	}
	return d
}

// routes is the whole public surface. A test holds it equal to openapi.yaml.
func (s *Server) routes() {
	s.echo.GET("/livez", s.livez)
	s.echo.GET("/readyz", s.readyz)
	s.echo.GET("/openapi.yaml", openAPI)
	s.echo.POST(pathWebhooks, s.receiveWebhook)
	s.echo.POST("/v1/customers", s.createCustomer)
	s.echo.GET("/v1/customers", s.listCustomers)
	s.echo.GET("/v1/customers/:id", s.getCustomer)
	s.echo.GET("/v1/customers/external/:external_id", s.getCustomerByExternalID)
	s.echo.PATCH("/v1/customers/:id", s.updateCustomer)
	s.echo.PUT("/v1/customers/:id", s.updateCustomer)
	s.echo.DELETE("/v1/customers/:id", s.archiveCustomer)
	s.echo.POST("/v1/customers/:id/sync", s.syncCustomer)
	s.echo.GET("/v1/customers/:id/journal", s.getJournal)
	s.echo.POST(pathMappings, s.createMapping)
	s.echo.GET(pathMappings, s.listMappings)
	s.echo.GET(pathMappings+"/:id", s.getMapping)
	s.echo.PUT(pathMappings+"/:id", s.updateMapping)
	s.echo.DELETE(pathMappings+"/:id", s.deleteMapping)
	s.echo.GET("/v1/provider-events", s.listEvents)
	s.echo.GET("/v1/provider-events/:id", s.getEvent)
	s.echo.POST("/v1/provider-events/:id/replay", s.replayEvent)
	s.echo.POST(pathRuns, s.beginRun)
	s.echo.GET(pathRuns, s.listRuns)
	s.echo.GET(pathRuns+"/:id", s.getRun)
	s.echo.POST(pathRuns+"/:id/control", s.steerRun)
	s.echo.GET(pathRuns+"/:id/findings", s.listFindings)
	s.echo.GET("/v1/providers", s.listProviders)
	s.echo.POST("/v1/providers/:provider/catch-up", s.catchUp)
}

// pathWebhooks is the one route under /v1 that takes a signature instead of a key.
const pathWebhooks = "/v1/webhooks/:provider"

// Handler serves the public routes.
func (s *Server) Handler() http.Handler { return s.echo }
