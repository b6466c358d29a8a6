package stripetest

import (
	"bytes"
	"maps"
	"slices"
	"strconv"
)

// customerPage is a list of customers. It writes itself, because a walk over
// whole books spends most of its time in writing them: encoding/json, which
// writes, checks and indents every customer three times over, takes twenty
// times as long. TestPagesLookAsEncodingJSONWritesThem holds the two together.
type customerPage listBody

func (p customerPage) render() []byte {
	w := &writer{b: make([]byte, 0, 256+1200*len(p.Data))}
	w.open('{')
	w.text("object", p.Object)
	w.name("data")
	w.open('[')
	for _, v := range p.Data {
		c, ok := v.(*Customer)
		if !ok {
			panic("stripetest: a page of customers has something else")
		}
		w.next()
		w.customer(c)
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
