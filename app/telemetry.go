package app

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/opentelemetry"

	"github.com/tandem-sync/tandem"
)

// Metrics counts what the acts do. Labels are bounded: never an id, never a message.
type Metrics struct {
	calls    *prometheus.CounterVec
	duration *prometheus.HistogramVec
	reads    *prometheus.CounterVec
	waits    *prometheus.CounterVec
	applied  *prometheus.CounterVec
	refused  *prometheus.GaugeVec
	log      *slog.Logger

	mu      sync.Mutex
	refuses map[string]bool // by provider
}

func newMetrics(registry *prometheus.Registry, ledger backlog, logger *slog.Logger) *Metrics {
	m := &Metrics{
		log: logger, refuses: map[string]bool{},
		refused: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "tandem_provider_auth_failing", Help: "1 while a provider refuses our key: nothing reaches it until a person mends that.",
		}, []string{"provider"}),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_provider_requests_total", Help: "Calls to a provider by outcome; class is empty on success.",
		}, []string{"provider", "operation", "class"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tandem_provider_request_duration_seconds", Help: "Time of one call to a provider.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 13),
		}, []string{"provider", "operation"}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_provider_reads_total", Help: "Reads at a provider, which rations them, by what they were made for.",
		}, []string{"provider", "why"}),
		waits: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_provider_reads_refused_total", Help: "Reads that were not made because the day's budget is spent; what wanted them waits.",
		}, []string{"provider", "why"}),
		applied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_remote_states_total", Help: "Remote states taken in, by what became of them.",
		}, []string{"direction", "state"}),
	}
	registry.MustRegister(m.calls, m.duration, m.reads, m.waits, m.applied, m.refused, waiting{ledger},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

type backlog interface {
	Backlog(ctx context.Context) (events int, oldest time.Duration, err error)
}

// waiting asks the ledger when somebody looks. A scrape that the database does not answer in time lacks the two numbers,
// which is what an alert on their absence is for.
type waiting struct{ ledger backlog }

var (
	waitingEvents = prometheus.NewDesc("tandem_ledger_waiting_events", "Events in the ledger that nobody has processed yet.", nil, nil)
	waitingOldest = prometheus.NewDesc("tandem_ledger_oldest_waiting_seconds", "How long the oldest of them has waited.", nil, nil)
)

const scrapeTimeout = 2 * time.Second

// Describe implements prometheus.Collector.
func (waiting) Describe(ch chan<- *prometheus.Desc) { ch <- waitingEvents; ch <- waitingOldest }

// Collect implements prometheus.Collector.
func (w waiting) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	n, oldest, err := w.ledger.Backlog(ctx)
	if err != nil {
		return
	}
	ch <- prometheus.MustNewConstMetric(waitingEvents, prometheus.GaugeValue, float64(n))
	ch <- prometheus.MustNewConstMetric(waitingOldest, prometheus.GaugeValue, oldest.Seconds())
}

// ProviderCall implements activities.Metrics.
func (m *Metrics) ProviderCall(provider, operation string, class tandem.Class, took time.Duration) {
	m.calls.WithLabelValues(provider, operation, string(class)).Inc()
	m.duration.WithLabelValues(provider, operation).Observe(took.Seconds())
	switch class {
	case tandem.Auth:
		m.refusedKey(provider, true)
	case "", tandem.Invalid, tandem.Gone, tandem.Conflict: // it looked at the request: the key works
		m.refusedKey(provider, false)
	}
}

// refusedKey is what alerts go by. The log says so once, whatever number of calls finds out.
func (m *Metrics) refusedKey(provider string, refused bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	value := 0.0
	if refused {
		value = 1
	}
	m.refused.WithLabelValues(provider).Set(value)
	if refused && !m.refuses[provider] {
		m.log.Error("provider.auth_failing", "provider", provider)
	} else if !refused && m.refuses[provider] {
		m.log.Info("provider.auth_works_again", "provider", provider)
	}
	m.refuses[provider] = refused
}

// ProviderRead implements activities.Metrics.
func (m *Metrics) ProviderRead(provider, why string, made bool) {
	if !made {
		m.waits.WithLabelValues(provider, why).Inc()
		return
	}
	m.reads.WithLabelValues(provider, why).Inc()
}

// Applied implements activities.Metrics.
func (m *Metrics) Applied(direction tandem.Direction, state tandem.EventState) {
	m.applied.WithLabelValues(string(direction), string(state)).Inc()
}

// temporalMetrics lets the Temporal SDK report into the same registry.
func temporalMetrics(registry *prometheus.Registry, logger *slog.Logger) (client.MetricsHandler, error) {
	exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(registry), otelprometheus.WithoutScopeInfo())
	if err != nil {
		return nil, fmt.Errorf("metrics of the Temporal SDK: %w", err)
	}
	meter := metric.NewMeterProvider(metric.WithReader(exporter)).Meter("temporal-sdk-go")
	return opentelemetry.NewMetricsHandler(opentelemetry.MetricsHandlerOptions{
		Meter: meter, UseMonotonicCounters: true,
		OnError: func(err error) { logger.Warn("metrics.failed", "error", err) },
	}), nil
}
