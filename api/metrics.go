package api

import (
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics holds the API's collectors. Every label has a bounded set of values, whatever callers send.
type metrics struct {
	requests        *prometheus.CounterVec
	requestDuration *prometheus.HistogramVec
	webhooks        *prometheus.CounterVec
	webhookAck      *prometheus.HistogramVec
	handovers       *prometheus.CounterVec
	refused         *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_api_requests_total", Help: "HTTP requests answered.",
		}, []string{"route", "method", "code"}),
		requestDuration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tandem_api_request_duration_seconds", Help: "Time to answer an HTTP request, ?wait included.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}, []string{"route", "method"}),
		webhooks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_webhook_received_total", Help: "Webhook deliveries, by what became of them.",
		}, []string{"provider", "type", "result"}),
		webhookAck: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tandem_webhook_ack_duration_seconds", Help: "Time to answer a webhook delivery.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"provider"}),
		handovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_webhook_handed_over_total", Help: "Stored events by who was to process them: a workflow of their own, or the drain.",
		}, []string{"provider", "way"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tandem_api_changes_refused_total", Help: "Changes refused before they began: too many at once, or the workflow service is away.",
		}, []string{"why"}),
	}
	r.MustRegister(m.requests, m.requestDuration, m.webhooks, m.webhookAck, m.handovers, m.refused)
	return m
}

func (m *metrics) request(route, method string, status int, took time.Duration) {
	method = knownMethod(method)
	m.requests.WithLabelValues(route, method, strconv.Itoa(status)).Inc()
	m.requestDuration.WithLabelValues(route, method).Observe(took.Seconds())
}

var methods = []string{
	http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions,
}

// knownMethod bounds the label: a method is any token a client likes.
func knownMethod(method string) string {
	if slices.Contains(methods, method) {
		return method
	}
	return "other"
}

// eventTypes are the types that deserve a series of their own; providers have hundreds.
var eventTypes = []string{"customer.created", "customer.updated", "customer.deleted"}

func (m *metrics) webhook(provider, eventType, result string) {
	if !slices.Contains(eventTypes, eventType) {
		eventType = "other"
	}
	m.webhooks.WithLabelValues(provider, eventType, result).Inc()
}
