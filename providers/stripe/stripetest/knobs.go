package stripetest

import (
	"encoding/json"
	"fmt"
	"time"
)

// knob is one field of Settings as the control API shows it; the same table
// feeds the index page.
type knob struct {
	name, help string
	field      func(*Settings) any // pointer to the field
}

var knobs = []knob{
	{"latency", "added to every API request", func(s *Settings) any { return &s.Latency }},
	{"latency_jitter", "at most this much more", func(s *Settings) any { return &s.LatencyJitter }},
	{"rate_per_endpoint", "requests per second per endpoint, 0 is off", func(s *Settings) any { return &s.RatePerEndpoint }},
	{"rate_global", "requests per second for the account, 0 is off", func(s *Settings) any { return &s.RateGlobal }},
	{"replace_address", "a partial address replaces instead of merging", func(s *Settings) any { return &s.ReplaceAddress }},
	{"search_lag", "search sees the past by this much", func(s *Settings) any { return &s.SearchLag }},
	{"forget_deleted_cursors", "a deleted customer is no cursor any more", func(s *Settings) any { return &s.ForgetDeletedCursors }},
	{"emit_noop_events", "an update without effect emits too", func(s *Settings) any { return &s.EmitNoopEvents }},
	{"dashboard_no_req_id", "edits by a person have request.id null", func(s *Settings) any { return &s.DashboardNoReqID }},
	{"deleted_object", "in customer.deleted: full, stub or alternate", func(s *Settings) any { return &s.DeletedObject }},
	{"twin_events", "two distinct events for one change", func(s *Settings) any { return &s.TwinEvents }},
	{"lose_events", "the next n events are never generated", func(s *Settings) any { return &s.LoseEvents }},
	{"webhook_delay", "before the first attempt", func(s *Settings) any { return &s.WebhookDelay }},
	{"webhook_jitter", "at most this much more", func(s *Settings) any { return &s.WebhookJitter }},
	{"webhook_duplicates", "extra deliveries of every event", func(s *Settings) any { return &s.WebhookDuplicates }},
	{"webhook_reorder", "collect n deliveries, send the last one first", func(s *Settings) any { return &s.WebhookReorder }},
	{"webhook_reorder_wait", "send an incomplete collection after this", func(s *Settings) any { return &s.WebhookReorderWait }},
	{"webhook_drop_next", "the next n deliveries are never attempted", func(s *Settings) any { return &s.WebhookDropNext }},
	{"webhook_drop_rate", "share of deliveries never attempted, 0 to 1", func(s *Settings) any { return &s.WebhookDropRate }},
	{"webhook_concurrency", "attempts at once; 1 delivers in order", func(s *Settings) any { return &s.WebhookConcurrency }},
	{"webhook_timeout", "of one attempt", func(s *Settings) any { return &s.WebhookTimeout }},
	{"retry_first", "wait before the second attempt, then doubled", func(s *Settings) any { return &s.RetryFirst }},
	{"retry_max", "longest wait between attempts", func(s *Settings) any { return &s.RetryMax }},
	{"max_attempts", "then a delivery is given up", func(s *Settings) any { return &s.MaxAttempts }},
	{"echo_first", "answer a write after its webhooks were tried", func(s *Settings) any { return &s.EchoFirst }},
	{"echo_timeout", "longest wait for that", func(s *Settings) any { return &s.EchoTimeout }},
}

// kind says what a value has to look like.
func (k knob) kind() string {
	switch k.field(&Settings{}).(type) {
	case *time.Duration:
		return `a duration in quotes, such as "500ms"`
	case *bool:
		return "true or false"
	case *int:
		return "a whole number"
	case *float64:
		return "a number"
	}
	return "a text in quotes"
}

// describe shows settings by name; durations read like 1m30s.
func describe(s Settings) map[string]any {
	out := map[string]any{}
	for _, k := range knobs {
		switch p := k.field(&s).(type) {
		case *time.Duration:
			out[k.name] = p.String()
		case *bool:
			out[k.name] = *p
		case *int:
			out[k.name] = *p
		case *float64:
			out[k.name] = *p
		case *string:
			out[k.name] = *p
		}
	}
	return out
}

// turnKnobs writes the named values into s; on an error s is spoiled.
func turnKnobs(s *Settings, patch map[string]json.RawMessage) error {
	byName := map[string]knob{}
	for _, k := range knobs {
		byName[k.name] = k
	}
	for name, raw := range patch {
		k, ok := byName[name]
		if !ok {
			return fmt.Errorf("%s: no such setting", name)
		}
		if err := k.set(s, raw); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	switch s.DeletedObject {
	case "", "full", "stub", "alternate":
		return nil
	}
	return fmt.Errorf("deleted_object: must be full, stub or alternate")
}

func (k knob) set(s *Settings, raw json.RawMessage) error {
	p, isDuration := k.field(s).(*time.Duration)
	if !isDuration {
		if err := json.Unmarshal(raw, k.field(s)); err != nil {
			return fmt.Errorf("must be %s, not %s", k.kind(), raw)
		}
		if n, ok := k.field(s).(*int); ok && *n < 0 {
			return fmt.Errorf("must not be negative")
		}
		if f, ok := k.field(s).(*float64); ok && *f < 0 {
			return fmt.Errorf("must not be negative")
		}
		return nil
	}
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return fmt.Errorf("must be %s", k.kind())
	}
	d, err := parseDuration(text)
	*p = d
	return err
}

func parseDuration(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a duration such as 500ms, 2s or 48h", text)
	}
	return d, nil
}
