package stripetest_test

import (
	"fmt"
	"net/url"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

func Example() {
	srv, err := stripetest.Start(stripetest.Options{DeterministicIDs: true})
	if err != nil {
		panic(err)
	}
	defer srv.Close()

	// An adapter would now be pointed at srv.URL(). Meanwhile, a person edits.
	c, _ := srv.CreateCustomer(url.Values{"name": {"Jane"}, "metadata[plan]": {"pro"}})
	_, _ = srv.EditCustomer(c.ID, url.Values{"name": {"Jane Doe"}})

	for _, op := range srv.Operations() {
		fmt.Println(op.Actor, op.Op, op.Changed)
	}
	for _, e := range srv.Events() {
		fmt.Println(e.Type)
	}
	// Output:
	// dashboard create [name metadata[plan]]
	// dashboard update [name]
	// customer.created
	// customer.updated
}
