package stripetest

import (
	"encoding/json"
	"maps"
	"slices"
)

// Customer is one state of a customer. Empty strings are null on the wire. A
// state is never changed once it is stored: an edit makes the next one, so
// events and listings may share it.
type Customer struct {
	ID      string
	Created int64
	Deleted bool

	Name, Email, Phone, Description string

	Address          Address // nil is null
	Shipping         *Shipping
	Metadata         map[string]string
	PreferredLocales []string

	Balance              int64
	Currency             string
	DefaultSource        string
	Delinquent           bool
	InvoicePrefix        string
	NextInvoiceSequence  int64
	TaxExempt            string
	DefaultPaymentMethod string
	InvoiceFooter        string
}

// Address holds the parts that were sent, empty ones included: Stripe keeps
// address[line2]= as "" and answers null for a part it never saw.
type Address map[string]string

// Shipping is always written whole, as its name and address are required.
type Shipping struct {
	Address Address
	Name    string
	Phone   string
}

// MarshalJSON writes all six parts.
func (a Address) MarshalJSON() ([]byte, error) {
	if a == nil {
		return []byte("null"), nil
	}
	parts := make(map[string]*string, len(addressParams))
	for name := range addressParams {
		if v, ok := a[name]; ok {
			parts[name] = &v
		} else {
			parts[name] = nil
		}
	}
	return render(parts), nil
}

// UnmarshalJSON reads that back: null is a part never sent.
func (a *Address) UnmarshalJSON(raw []byte) error {
	var parts map[string]*string
	if err := json.Unmarshal(raw, &parts); err != nil || parts == nil {
		*a = nil
		return err
	}
	*a = Address{}
	for name, v := range parts {
		if v != nil {
			(*a)[name] = *v
		}
	}
	return nil
}

type customerBody struct {
	ID                  string            `json:"id"`
	Object              string            `json:"object"`
	Address             Address           `json:"address"`
	Balance             int64             `json:"balance"`
	Created             int64             `json:"created"`
	Currency            *string           `json:"currency"`
	DefaultSource       *string           `json:"default_source"`
	Delinquent          bool              `json:"delinquent"`
	Description         *string           `json:"description"`
	Discount            *string           `json:"discount"` // never modelled: always null
	Email               *string           `json:"email"`
	InvoicePrefix       *string           `json:"invoice_prefix"`
	InvoiceSettings     invoiceSettings   `json:"invoice_settings"`
	Livemode            bool              `json:"livemode"`
	Metadata            map[string]string `json:"metadata"`
	Name                *string           `json:"name"`
	NextInvoiceSequence int64             `json:"next_invoice_sequence"`
	Phone               *string           `json:"phone"`
	PreferredLocales    []string          `json:"preferred_locales"`
	Shipping            *shippingBody     `json:"shipping"`
	TaxExempt           string            `json:"tax_exempt"`
	TestClock           *string           `json:"test_clock"`
}

type invoiceSettings struct {
	CustomFields         *string `json:"custom_fields"`
	DefaultPaymentMethod *string `json:"default_payment_method"`
	Footer               *string `json:"footer"`
	RenderingOptions     *string `json:"rendering_options"`
}

type shippingBody struct {
	Address Address `json:"address"`
	Name    string  `json:"name"`
	Phone   *string `json:"phone"`
}

type deletedBody struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Deleted bool   `json:"deleted"`
}

// MarshalJSON writes the API object: the customer, or the stub once deleted.
func (c Customer) MarshalJSON() ([]byte, error) {
	if c.Deleted {
		return render(deletedBody{ID: c.ID, Object: "customer", Deleted: true}), nil
	}
	return render(c.body()), nil
}

func (c *Customer) body() customerBody {
	b := customerBody{
		ID: c.ID, Object: "customer", Created: c.Created,
		Name: null(c.Name), Email: null(c.Email), Phone: null(c.Phone), Description: null(c.Description),
		Address: c.Address, Metadata: c.Metadata, PreferredLocales: c.PreferredLocales,
		Balance: c.Balance, Currency: null(c.Currency), DefaultSource: null(c.DefaultSource), Delinquent: c.Delinquent,
		InvoicePrefix: null(c.InvoicePrefix), NextInvoiceSequence: c.NextInvoiceSequence, TaxExempt: c.TaxExempt,
		InvoiceSettings: invoiceSettings{DefaultPaymentMethod: null(c.DefaultPaymentMethod), Footer: null(c.InvoiceFooter)},
	}
	if c.Shipping != nil {
		b.Shipping = &shippingBody{Address: c.Shipping.Address, Name: c.Shipping.Name, Phone: null(c.Shipping.Phone)}
	}
	return b
}

// clone copies what an edit may write into.
func (c *Customer) clone() *Customer {
	next := *c
	next.Address = maps.Clone(c.Address)
	next.Metadata = maps.Clone(c.Metadata)
	next.PreferredLocales = slices.Clone(c.PreferredLocales)
	if c.Shipping != nil {
		ship := *c.Shipping
		ship.Address = maps.Clone(ship.Address)
		next.Shipping = &ship
	}
	return &next
}

func null(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
