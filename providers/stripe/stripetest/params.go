package stripetest

// kind says what a parameter may hold and whether an empty value unsets it.
type kind int

const (
	text      kind = iota // string; empty unsets it
	fixed                 // string that cannot be unset
	integer               // whole number; cannot be unset
	boolean               // true or false
	choice                // one of values; empty only if listed
	hash                  // known sub-parameters; empty unsets the whole
	array                 // array of strings
	dict                  // metadata: free keys, string values
	timeRange             // whole number or gt/gte/lt/lte
	loose                 // accepted as it comes and not modelled
)

type param struct {
	kind     kind
	max      int
	values   []string
	of       params
	required bool
}

type params map[string]param

// The lists below are those of API version 2023-10-16; anything else is
// parameter_unknown.
var (
	addressParams = params{
		"city": {max: 5000}, "country": {max: 5000}, "line1": {max: 5000},
		"line2": {max: 5000}, "postal_code": {max: 5000}, "state": {max: 5000},
	}
	shippingParams = params{
		"address": {kind: hash, of: addressParams, required: true},
		"name":    {kind: fixed, max: 5000, required: true},
		"phone":   {max: 5000},
	}
	customerParams = params{
		"address":               {kind: hash, of: addressParams},
		"balance":               {kind: integer},
		"cash_balance":          {kind: loose},
		"coupon":                {kind: loose},
		"description":           {max: 5000},
		"email":                 {max: 512},
		"expand":                {kind: array},
		"invoice_prefix":        {kind: fixed, max: 5000},
		"invoice_settings":      {kind: loose},
		"metadata":              {kind: dict},
		"name":                  {max: 256},
		"next_invoice_sequence": {kind: integer},
		"phone":                 {max: 20},
		"preferred_locales":     {kind: array},
		"promotion_code":        {kind: loose},
		"shipping":              {kind: hash, of: shippingParams},
		"source":                {kind: loose},
		"tax":                   {kind: loose},
		"tax_exempt":            {kind: choice, values: []string{"", "exempt", "none", "reverse"}},
	}
	createParams = customerParams.plus(params{
		"payment_method": {kind: loose}, "tax_id_data": {kind: loose}, "test_clock": {kind: loose},
	})
	updateParams = customerParams.plus(params{
		"bank_account": {kind: loose}, "card": {kind: loose}, "default_alipay_account": {kind: loose},
		"default_bank_account": {kind: loose}, "default_card": {kind: loose},
		"default_source": {kind: fixed, max: 500},
	})
	// personParams adds what no API call can set but Stripe itself changes:
	// an edit with these makes the customer.updated events that a sync of
	// names and addresses must let pass.
	personParams = updateParams.plus(params{"delinquent": {kind: boolean}, "currency": {max: 3}})

	retrieveParams = params{"expand": {kind: array}}
	pageParams     = params{
		"ending_before": {kind: fixed}, "expand": {kind: array},
		"limit": {kind: integer}, "starting_after": {kind: fixed},
	}
	listParams = pageParams.plus(params{
		"created": {kind: timeRange}, "email": {kind: fixed}, "test_clock": {kind: loose},
	})
	searchParams = params{
		"expand": {kind: array}, "limit": {kind: integer}, "page": {kind: fixed}, "query": {kind: fixed, required: true},
	}
	eventListParams = pageParams.plus(params{
		"created": {kind: timeRange}, "delivery_success": {kind: boolean},
		"type": {kind: fixed}, "types": {kind: array},
	})
	endpointParams = params{
		"api_version": {kind: fixed}, "connect": {kind: boolean}, "description": {max: 5000},
		"enabled_events": {kind: array, required: true}, "expand": {kind: array},
		"metadata": {kind: dict}, "url": {kind: fixed, required: true},
	}
)

func (p params) plus(more params) params {
	all := make(params, len(p)+len(more))
	for name, spec := range p {
		all[name] = spec
	}
	for name, spec := range more {
		all[name] = spec
	}
	return all
}
