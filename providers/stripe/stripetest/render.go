package stripetest

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
)

// page is a list of customers or events. It writes itself, because a walk over
// whole books spends most of its time in writing them: encoding/json, which
// writes, checks and indents every customer three times over, takes six times
// as long. TestPagesLookAsEncodingJSONWritesThem holds the two together.
type page listBody

func (p page) render() []byte {
	w := &writer{b: make([]byte, 0, 256+1200*len(p.Data))}
	w.open('{')
	w.text("object", p.Object)
	w.name("data")
	w.open('[')
	for _, v := range p.Data {
		w.next()
		w.item(v)
	}
	w.close(']')
	w.flag("has_more", p.HasMore)
	w.text("url", p.URL)
	w.close('}')
	return append(w.b, '\n')
}

// writer writes JSON indented by two.
type writer struct {
	b     []byte
	depth int
	begun bool // the open hash or array has a member
}

const blanks = "\n                " // eight levels, more than any answer has

func (w *writer) open(bracket byte) {
	w.b = append(w.b, bracket)
	w.depth++
	w.begun = false
}

func (w *writer) close(bracket byte) {
	w.depth--
	if w.begun {
		w.b = append(w.b, blanks[:1+2*w.depth]...)
	}
	w.b = append(w.b, bracket)
	w.begun = true
}

func (w *writer) next() {
	if w.begun {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, blanks[:1+2*w.depth]...)
	w.begun = true
}

func (w *writer) name(name string) {
	w.next()
	w.quote(name)
	w.b = append(w.b, ": "...)
}

func (w *writer) null(name string) {
	w.name(name)
	w.b = append(w.b, "null"...)
}

func (w *writer) text(name, v string) {
	w.name(name)
	w.quote(v)
}

// textOrNull is null for an empty text, as Stripe has it.
func (w *writer) textOrNull(name, v string) {
	if v == "" {
		w.null(name)
		return
	}
	w.text(name, v)
}

func (w *writer) number(name string, v int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

func (w *writer) flag(name string, v bool) {
	w.name(name)
	w.b = strconv.AppendBool(w.b, v)
}

// quote leaves whatever is not plain to encoding/json.
func (w *writer) quote(s string) {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			w.b = append(w.b, bytes.TrimSuffix(render(s), []byte("\n"))...)
			return
		}
	}
	w.b = append(append(append(w.b, '"'), s...), '"')
}

func (w *writer) customer(c *Customer) {
	w.open('{')
	w.text("id", c.ID)
	w.text("object", "customer")
	if c.Deleted {
		w.flag("deleted", true)
		w.close('}')
		return
	}
	w.address(c.Address)
	w.number("balance", c.Balance)
	w.number("created", c.Created)
	w.textOrNull("currency", c.Currency)
	w.textOrNull("default_source", c.DefaultSource)
	w.flag("delinquent", c.Delinquent)
	w.textOrNull("description", c.Description)
	w.null("discount")
	w.textOrNull("email", c.Email)
	w.textOrNull("invoice_prefix", c.InvoicePrefix)
	w.invoiceSettings(c)
	w.flag("livemode", false)
	w.metadata(c.Metadata)
	w.textOrNull("name", c.Name)
	w.number("next_invoice_sequence", c.NextInvoiceSequence)
	w.textOrNull("phone", c.Phone)
	w.locales(c.PreferredLocales)
	w.shipping(c.Shipping)
	w.text("tax_exempt", c.TaxExempt)
	w.null("test_clock")
	w.close('}')
}

func (w *writer) item(v any) {
	switch v := v.(type) {
	case *Customer:
		w.customer(v)
	case eventBody:
		w.event(v)
	default:
		w.other(v)
	}
}

// other leaves what is of no known shape to encoding/json.
func (w *writer) other(v any) {
	var b bytes.Buffer
	if err := json.Indent(&b, bytes.TrimSuffix(render(v), []byte("\n")), blanks[1:1+2*w.depth], "  "); err != nil {
		panic("stripetest: what was written must be JSON: " + err.Error())
	}
	w.b = append(w.b, b.Bytes()...)
}

func (w *writer) event(e eventBody) {
	w.open('{')
	w.text("id", e.ID)
	w.text("object", e.Object)
	w.text("api_version", e.APIVersion)
	w.number("created", e.Created)
	w.name("data")
	w.open('{')
	w.name("object")
	w.item(e.Data.Object)
	if len(e.Data.Previous) > 0 {
		w.name("previous_attributes")
		w.other(e.Data.Previous)
	}
	w.close('}')
	w.flag("livemode", e.Livemode)
	w.number("pending_webhooks", int64(e.PendingWebhooks))
	w.name("request")
	w.open('{')
	w.textOrNull("id", deref(e.Request.ID))
	w.textOrNull("idempotency_key", deref(e.Request.IdempotencyKey))
	w.close('}')
	w.text("type", e.Type)
	w.close('}')
}

var addressParts = slices.Sorted(maps.Keys(addressParams))

func (w *writer) address(a Address) {
	if a == nil {
		w.null("address")
		return
	}
	w.name("address")
	w.open('{')
	for _, part := range addressParts {
		if v, sent := a[part]; sent {
			w.text(part, v)
		} else {
			w.null(part)
		}
	}
	w.close('}')
}

func (w *writer) invoiceSettings(c *Customer) {
	w.name("invoice_settings")
	w.open('{')
	w.null("custom_fields")
	w.textOrNull("default_payment_method", c.DefaultPaymentMethod)
	w.textOrNull("footer", c.InvoiceFooter)
	w.null("rendering_options")
	w.close('}')
}

func (w *writer) metadata(m map[string]string) {
	if m == nil {
		w.null("metadata")
		return
	}
	w.name("metadata")
	w.open('{')
	for _, key := range slices.Sorted(maps.Keys(m)) {
		w.text(key, m[key])
	}
	w.close('}')
}

func (w *writer) locales(list []string) {
	if list == nil {
		w.null("preferred_locales")
		return
	}
	w.name("preferred_locales")
	w.open('[')
	for _, v := range list {
		w.next()
		w.quote(v)
	}
	w.close(']')
}

func (w *writer) shipping(s *Shipping) {
	if s == nil {
		w.null("shipping")
		return
	}
	w.name("shipping")
	w.open('{')
	w.address(s.Address)
	w.text("name", s.Name)
	w.textOrNull("phone", s.Phone)
	w.close('}')
}
