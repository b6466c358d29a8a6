package stripetest

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
)

// apply writes a checked form into c. The one rule it can still break depends
// on the stored state: the number of metadata keys after the merge.
func (c *Customer) apply(f *node, replaceAddress bool) *apiError {
	for name, field := range map[string]*string{
		"name": &c.Name, "email": &c.Email, "phone": &c.Phone, "description": &c.Description,
		"currency": &c.Currency, "default_source": &c.DefaultSource, "invoice_prefix": &c.InvoicePrefix,
	} {
		if v, sent := f.get(name); sent {
			*field = v
		}
	}
	for name, field := range map[string]*int64{"balance": &c.Balance, "next_invoice_sequence": &c.NextInvoiceSequence} {
		if v, sent := f.get(name); sent {
			*field, _ = strconv.ParseInt(v, 10, 64) // checked
		}
	}
	if v, sent := f.get("delinquent"); sent {
		c.Delinquent = v == "true"
	}
	if v, sent := f.get("tax_exempt"); sent {
		c.TaxExempt = v
		if v == "" {
			c.TaxExempt = "none"
		}
	}
	if n := f.kid("preferred_locales"); n != nil {
		c.PreferredLocales = n.list()
	}
	c.Address = applyAddress(c.Address, f.kid("address"), replaceAddress)
	c.applyShipping(f.kid("shipping"))
	c.applyInvoiceSettings(f.kid("invoice_settings"))
	return c.applyMetadata(f.kid("metadata"))
}

// applyAddress merges the parts that were sent into the stored address; Stripe
// does not document whether it merges or replaces, hence the switch.
func applyAddress(old Address, n *node, replace bool) Address {
	if n == nil {
		return old
	}
	if n.leaf { // address=
		return nil
	}
	next := maps.Clone(old)
	if next == nil || replace {
		next = Address{}
	}
	for _, part := range n.names() {
		next[part] = n.text0(part)
	}
	return next
}

func (c *Customer) applyShipping(n *node) {
	switch {
	case n == nil:
	case n.leaf:
		c.Shipping = nil
	default:
		c.Shipping = &Shipping{
			Address: applyAddress(nil, n.kid("address"), true),
			Name:    n.text0("name"), Phone: n.text0("phone"),
		}
	}
}

func (c *Customer) applyInvoiceSettings(n *node) {
	if v, sent := n.get("default_payment_method"); sent {
		c.DefaultPaymentMethod = v
	}
	if v, sent := n.get("footer"); sent {
		c.InvoiceFooter = v
	}
}

// applyMetadata merges: keys not mentioned stay, an empty value deletes its
// key, metadata= deletes all.
func (c *Customer) applyMetadata(n *node) *apiError {
	if n == nil {
		return nil
	}
	if n.leaf {
		c.Metadata = map[string]string{}
		return nil
	}
	for _, key := range n.names() {
		if v := n.kids[key].text; v != "" {
			c.Metadata[key] = v
		} else {
			delete(c.Metadata, key)
		}
	}
	if len(c.Metadata) > maxMetadataKeys {
		return badRequest("", "metadata", fmt.Sprintf("You can have up to %d metadata keys, but this would make %d.",
			maxMetadataKeys, len(c.Metadata)))
	}
	return nil
}

// previousAttributes renders what an update replaced, as its event shows it:
// old values of changed fields; of a hash only the changed parts, null for a
// part that was not there; the empty hash when all of it is new.
func previousAttributes(before, after *Customer) map[string]any {
	return diff(fields(before), fields(after))
}

func diff(before, after map[string]any) map[string]any {
	prev := map[string]any{}
	for _, name := range unionKeys(before, after) {
		old, now := before[name], after[name]
		if reflect.DeepEqual(old, now) {
			continue
		}
		oldHash, wasHash := old.(map[string]any)
		nowHash, isHash := now.(map[string]any)
		switch {
		case wasHash && isHash && len(oldHash) == 0:
			prev[name] = map[string]any{}
		case wasHash && isHash:
			prev[name] = diff(oldHash, nowHash)
		default:
			prev[name] = old
		}
	}
	return prev
}

// changedNames lists what differs, metadata key by key: name, metadata[plan].
func changedNames(before, after *Customer) []string {
	was, is := fields(before), fields(after)
	var names []string
	for _, name := range unionKeys(was, is) {
		if name == "metadata" || reflect.DeepEqual(was[name], is[name]) {
			continue
		}
		names = append(names, name)
	}
	for _, key := range unionKeys(before.Metadata, after.Metadata) {
		old, had := before.Metadata[key]
		now, has := after.Metadata[key]
		if had != has || old != now {
			names = append(names, "metadata["+key+"]")
		}
	}
	return names
}

// fields is the customer as a client would see it.
func fields(c *Customer) map[string]any {
	var m map[string]any
	raw, err := json.Marshal(c.body())
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	if err != nil {
		panic("stripetest: a customer must always render: " + err.Error())
	}
	return m
}

func unionKeys[V any](a, b map[string]V) []string {
	keys := slices.Collect(maps.Keys(a))
	for k := range b {
		if _, ok := a[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}
