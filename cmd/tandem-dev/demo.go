package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
)

func demoCommand(f *flags) *cobra.Command {
	var bodies string
	cmd := &cobra.Command{
		Use: "demo", Short: "Run the main job on real input, show what happened, and end", Args: cobra.NoArgs,
		Long: `Starts a stack of its own that keeps nothing, brings customers in by webhook, makes and edits customers over the API
and in the stand-in's dashboard, and prints what became of each. Ends with 0 when both sides of every one are equal.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.dataDir == "" {
				f.ephemeral, f.freePorts = true, true
			}
			return demo(cmd.Context(), *f, bodies, cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&bodies, "webhooks", "testdata/webhooks", "folder of webhook bodies")
	return cmd
}

// demoTime bounds the whole demonstration, a first build of Temporal's command line excepted.
const demoTime = 2 * time.Minute

func demo(ctx context.Context, f flags, bodies string, out io.Writer) (err error) {
	p, err := f.plan()
	if err != nil {
		return err
	}
	if !p.standIn {
		return errors.New("the demonstration edits customers in the stand-in's dashboard: unset STRIPE_API_KEY and STRIPE_API_BASE")
	}
	home, err := f.home()
	if err != nil {
		return err
	}
	interrupted := ctx
	defer func() { err = home.leave(interrupted, err) }()
	begun := time.Now()
	fmt.Fprintln(out, "starting Postgres, Temporal, the Stripe stand-in and Tandem …")
	s, err := start(ctx, f, p, home, slog.New(slog.NewJSONHandler(home.log, nil)))
	if err != nil {
		return err
	}
	defer func() { err = s.stop(err) }()
	fmt.Fprintf(out, "up after %.1f s\n\n", time.Since(begun).Seconds())
	ctx, cancel := context.WithTimeout(ctx, demoTime)
	defer cancel()
	store, err := s.cfg.OpenStore(ctx, tandem.Policy{}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	d := &demonstration{stack: s, client: newDemoClient(s), store: store, out: out}
	if err := d.act(ctx, bodies); err != nil {
		return fmt.Errorf("%w\n(the log is %s)", err, home.path("tandem.log"))
	}
	return d.show(ctx)
}

type demonstration struct {
	*stack
	client *demoClient
	store  *db.Store // to read the journal and the ledger; everything is done over HTTP
	out    io.Writer
}

func (d *demonstration) step(format string, args ...any) {
	fmt.Fprintf(d.out, "  "+format+"\n", args...)
}

// act does to both sides what people do all day.
func (d *demonstration) act(ctx context.Context, bodies string) error {
	fmt.Fprintln(d.out, "what is done:")
	if err := d.deliver(ctx, bodies); err != nil {
		return err
	}
	ada, err := d.client.create(ctx, map[string]any{"name": "Ada Lovelace", "email": "ada@example.org", "external_id": "user-1815", "metadata": map[string]any{"plan": "analytical"}})
	if err != nil {
		return err
	}
	lin, err := d.client.create(ctx, map[string]any{"name": "林徽因", "email": "lin@example.org", "address_line1": "北总布胡同 3", "address_city": "北京", "address_country": "CN"})
	if err != nil {
		return err
	}
	d.step("2 customers created over the API")
	grace, err := d.stripe.CreateCustomer(url.Values{"name": {"Grace Hopper"}, "email": {"grace@example.org"}})
	if err != nil {
		return err
	}
	d.step("1 customer created in Stripe's dashboard")
	if err := d.synced(ctx); err != nil {
		return err
	}
	return d.edit(ctx, ada, lin, grace.ID)
}

func (d *demonstration) edit(ctx context.Context, ada, lin customer, graceRemote string) error {
	if err := d.client.patch(ctx, ada.ID, map[string]any{"phone": "+44 20 7946 0018", "metadata": map[string]any{"plan": nil, "tier": "gold"}}); err != nil {
		return err
	}
	d.step("1 customer edited over the API: a phone number, one metadata key removed, one added")
	remote, err := d.client.get(ctx, lin.ID)
	if err != nil {
		return err
	}
	if _, err := d.stripe.EditCustomer(remote.remoteID(), url.Values{"email": {"lin.huiyin@example.org"}}); err != nil {
		return err
	}
	if _, err := d.stripe.EditCustomer(graceRemote, url.Values{"name": {"Rear Admiral Grace Hopper"}}); err != nil {
		return err
	}
	d.step("2 customers edited in Stripe's dashboard")
	gone, err := d.stripe.CreateCustomer(url.Values{"email": {"short-lived@example.org"}})
	if err != nil {
		return err
	}
	if err := d.synced(ctx); err != nil {
		return err
	}
	if err := d.stripe.DeleteCustomer(gone.ID); err != nil {
		return err
	}
	d.step("1 customer created and then deleted in Stripe's dashboard")
	return d.synced(ctx)
}

// synced waits until the stand-in has delivered everything and no mapping or event has anything left to do.
func (d *demonstration) synced(ctx context.Context) error {
	if err := d.stripe.WaitIdle(ctx); err != nil {
		return fmt.Errorf("webhooks are still being delivered: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		left, err := d.unfinished(ctx)
		if err != nil {
			return err
		}
		if left == "" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not everything was synced in time: %s", left)
		case <-tick.C:
		}
	}
}

// show prints the table and says whether all is well.
func (d *demonstration) show(ctx context.Context) error {
	customers, err := d.client.list(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintf(d.out, "\nwhat became of it:\n\n")
	different, gone := 0, 0
	for _, c := range customers {
		story, err := d.store.Journal(ctx, c.ID, 100)
		if err != nil {
			return err
		}
		verdict, equal := d.compare(c)
		switch {
		case !equal:
			different++
		case c.Status == "archived":
			gone++
		}
		d.row(c, verdict, story)
	}
	counts := map[string]int{}
	for _, op := range d.stripe.Operations() {
		if op.Actor == "api" {
			counts[op.Op]++
		}
	}
	fmt.Fprintf(d.out, "%d customers; calls to Stripe: create %d, update %d, read %d\n", len(customers), counts["create"], counts["update"], counts["retrieve"])
	if different > 0 {
		return fmt.Errorf("%d of %d customers differ", different, len(customers))
	}
	fmt.Fprintf(d.out, "both sides are equal for %d, and %d deleted on one side is archived on the other. `make dev` starts the same stack to stay, with the Temporal UI.\n", len(customers)-gone, gone)
	return nil
}

func (d *demonstration) row(c customer, verdict string, story []tandem.JournalEntry) {
	name := c.Name
	if name == "" {
		name = "(no name)"
	}
	fmt.Fprintf(d.out, "%s  %-20s %-10s %s\n", c.ID, c.remoteID(), verdict, name)
	for _, e := range story {
		where := "platform"
		if e.Direction == tandem.Outbound && e.Provider != "" {
			where = e.Provider
		}
		what := fmt.Sprintf("%s %s", e.Action, where)
		if e.Action == "update" {
			what += ":"
			for _, change := range e.Changes {
				what += " " + change.Field
			}
		}
		fmt.Fprintf(d.out, "    %-9s %-62s %-8s %s\n", e.Direction, what, e.Work.Cause.Kind, e.Work.WorkflowID)
	}
	fmt.Fprintln(d.out)
}

var errStatus = errors.New("unexpected answer")
