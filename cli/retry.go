package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"sync"

	"github.com/spf13/cobra"
)

// retriesAtOnce leaves the API's places to its other callers.
const retriesAtOnce = 4

// maxRetried bounds one command; a list of failures as long as that needs a cause mended, not more retries.
const maxRetried = 100_000

type retryWish struct {
	all                    bool
	class, state, provider string
}

func (a *app) retry() *cobra.Command {
	var w retryWish
	cmd := a.command("retry [<customer id>]", "Try at once what waits or is parked", cobra.MaximumNArgs(1), func(c *call) error {
		switch {
		case w.all == (len(c.args) == 1):
			return usage("name a customer, or say --all with --class or --state")
		case !w.all && (w.class != "" || w.state != ""):
			return usage("--class and --state belong to --all")
		case w.all && w.class == "" && w.state == "":
			return usage("--all wants --class or --state: what is retried should have a cause that was mended")
		case w.all:
			return c.retryAll(w)
		}
		var r workflowRun
		raw, err := c.sayRetry(c.ctx, c.args[0], w.provider, &r)
		if err != nil {
			return err
		}
		return c.accepted(raw, r)
	})
	cmd.Flags().BoolVar(&w.all, "all", false, "all that --class and --state select")
	cmd.Flags().StringVar(&w.class, "class", "", "whose last error is of this class")
	cmd.Flags().StringVar(&w.state, "state", "", "in this state")
	cmd.Flags().StringVar(&w.provider, "provider", "", "with this provider only")
	complete(cmd, "class", errorClasses...)
	complete(cmd, "state", mappingStates...)
	return cmd
}

func (c *call) sayRetry(ctx context.Context, customerID, provider string, out any) (json.RawMessage, error) {
	body := map[string]string{"action": "retry"}
	if provider != "" {
		body["provider"] = provider
	}
	return c.post(ctx, pathCustomers+segment(customerID)+"/sync", body, out)
}

// retried is what became of all of them.
type retried struct {
	mu     sync.Mutex
	Asked  int           `json:"asked"`
	Failed []retryFailed `json:"failed"`
}

type retryFailed struct {
	CustomerID string `json:"customer_id"`
	Provider   string `json:"provider"`
	Error      string `json:"error"`
}

func (r *retried) note(m mapping, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Asked++
	if err != nil {
		r.Failed = append(r.Failed, retryFailed{m.EntityID, m.ProviderType, err.Error()})
	}
}

// retryAll walks through the mappings page by page, so that nothing has to be remembered. A mapping that is mended
// meanwhile leaves the list without moving the others: it goes by ids.
func (c *call) retryAll(w retryWish) error {
	q := url.Values{}
	for name, v := range map[string]string{"error_class": w.class, "state": w.state, "provider_type": w.provider} {
		if v != "" {
			q.Set(name, v)
		}
	}
	done := retried{Failed: []retryFailed{}}
	next, err := c.pages(pathMappings, q, maxRetried, "", func(page answer) error { return c.retryPage(page, &done) })
	if err := c.showRetried(&done); err != nil {
		return err
	}
	switch {
	case err != nil:
		return fmt.Errorf("list what to retry: %w", err)
	case len(done.Failed) > 0:
		return fmt.Errorf("%d of %d could not be asked to retry", len(done.Failed), done.Asked)
	case next != "":
		return fmt.Errorf("there are more than %d; run this again", maxRetried)
	}
	return nil
}

func (c *call) retryPage(page answer, done *retried) error {
	todo := make(chan mapping)
	var workers sync.WaitGroup
	for range retriesAtOnce {
		workers.Go(func() {
			for m := range todo {
				_, err := c.sayRetry(c.ctx, m.EntityID, m.ProviderType, nil)
				done.note(m, err)
			}
		})
	}
	err := c.feed(page, todo)
	close(todo)
	workers.Wait()
	return err
}

func (c *call) feed(page answer, todo chan<- mapping) error {
	for _, raw := range page.Items {
		var m mapping
		if err := json.Unmarshal(raw, &m); err != nil {
			return fmt.Errorf("read the answer: %w", err)
		}
		select {
		case todo <- m:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
	return nil
}

func (c *call) showRetried(done *retried) error {
	if c.json() {
		return c.encode(done)
	}
	if err := c.pairs([2]string{"asked", fmt.Sprint(done.Asked)}, [2]string{"failed", fmt.Sprint(len(done.Failed))}); err != nil || len(done.Failed) == 0 {
		return err
	}
	rows := make([][]string, len(done.Failed))
	for i, f := range done.Failed {
		rows[i] = []string{f.CustomerID, f.Provider, f.Error}
	}
	return c.table([]string{"CUSTOMER", "PROVIDER", "WHY"}, rows)
}
