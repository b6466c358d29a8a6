package stripe

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func keys(n int) map[string]string {
	m := make(map[string]string, n)
	for i := range n {
		m[fmt.Sprintf("k%02d", i)] = "v"
	}
	return m
}

func TestCheck(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("語", n) } // characters count, not bytes
	one := func(k, v string) tandem.Fields { return tandem.Fields{Metadata: map[string]string{k: v}} }
	rows := map[string]struct {
		fields tandem.Fields
		want   []string
	}{
		"nothing": {tandem.Fields{}, nil},
		"all at the limit": {tandem.Fields{Name: long(256), Email: long(512), Phone: long(20),
			Address: tandem.Address{Line1: long(5000)}, Metadata: map[string]string{long(40): long(500)}}, nil},
		"all beyond it": {tandem.Fields{Name: long(257), Email: long(513), Phone: long(21),
			Address: tandem.Address{Line1: long(5001), Line2: long(5001), City: long(5001), State: long(5001), PostalCode: long(5001), Country: long(5001)}},
			[]string{"name too_long", "email too_long", "phone too_long", "address_line1 too_long", "address_line2 too_long",
				"address_city too_long", "address_state too_long", "address_postal_code too_long", "address_country too_long"}},
		"47 keys and ours":               {tandem.Fields{Metadata: keys(47)}, nil},
		"48 keys and ours":               {tandem.Fields{Metadata: keys(48)}, []string{"metadata too_many"}},
		"48 keys where only two marks":   {tandem.Fields{Metadata: keys(48), Reserved: map[string]string{"flexprice_customer_id": "c", "flexprice_environment": "e"}}, nil},
		"an entry without value is none": {tandem.Fields{Metadata: map[string]string{"a[b]": "", long(41): ""}}, nil},
		"long key":                       {one(long(41), "v"), []string{"metadata." + long(41) + " too_long"}},
		"long value":                     {one("k", long(501)), []string{"metadata.k too_long"}},
		"brackets":                       {one("a[b", "v"), []string{"metadata.a[b invalid"}},
		"empty key":                      {one("", "v"), []string{"metadata invalid"}},
		"our key":                        {one("external_id", "v"), []string{"metadata.external_id invalid"}},
		"long external id":               {tandem.Fields{Reserved: map[string]string{"external_id": long(501)}}, []string{"external_id too_long"}},
		"several, in order":              {tandem.Fields{Metadata: map[string]string{"b": long(501), "a": long(501)}}, []string{"metadata.a too_long", "metadata.b too_long"}},
	}
	p := setup(t, answering(200, ""))
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, f := range p.Check(r.fields) {
				require.NotEmpty(t, f.Message)
				got = append(got, f.Field+" "+f.Code)
			}
			require.Equal(t, r.want, got)
		})
	}
}
