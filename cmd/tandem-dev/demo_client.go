package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"time"

	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
)

// demoClient uses Tandem as any program would: over HTTP.
type demoClient struct {
	base string
	http *http.Client
}

func newDemoClient(s *stack) *demoClient {
	return &demoClient{base: s.at.API, http: &http.Client{Timeout: 15 * time.Second}}
}

// customer is what the API says of one.
type customer struct {
	ID         string            `json:"id"`
	Status     string            `json:"status"`
	Name       string            `json:"name"`
	Email      string            `json:"email"`
	Phone      string            `json:"phone"`
	Line1      string            `json:"address_line1"`
	Line2      string            `json:"address_line2"`
	City       string            `json:"address_city"`
	State      string            `json:"address_state"`
	PostalCode string            `json:"address_postal_code"`
	Country    string            `json:"address_country"`
	Metadata   map[string]string `json:"metadata"`
	Providers  map[string]struct {
		RemoteID string `json:"provider_entity_id"`
		State    string `json:"state"`
	} `json:"provider_info"`
}

func (c customer) remoteID() string { return c.Providers["stripe"].RemoteID }

func (c *demoClient) do(ctx context.Context, method, path string, header http.Header, in, out any) error {
	var body io.Reader
	switch in := in.(type) {
	case nil:
	case []byte:
		body = bytes.NewReader(in)
	default:
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+devAPIKey)
	req.Header.Set("Content-Type", "application/json")
	maps.Copy(req.Header, header)
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("%w to %s %s: %s %s", errStatus, method, path, resp.Status, answer)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(answer, out)
}

func (c *demoClient) create(ctx context.Context, in map[string]any) (out customer, err error) {
	err = c.do(ctx, http.MethodPost, "/v1/customers", nil, in, &out)
	return out, err
}

func (c *demoClient) patch(ctx context.Context, id string, in map[string]any) error {
	return c.do(ctx, http.MethodPatch, "/v1/customers/"+id, nil, in, nil)
}

func (c *demoClient) get(ctx context.Context, id string) (out customer, err error) {
	err = c.do(ctx, http.MethodGet, "/v1/customers/"+id, nil, nil, &out)
	return out, err
}

func (c *demoClient) list(ctx context.Context) ([]customer, error) {
	var page struct {
		Items []customer `json:"items"`
	}
	err := c.do(ctx, http.MethodGet, "/v1/customers?limit=100", nil, nil, &page)
	sort.Slice(page.Items, func(i, j int) bool { return page.Items[i].ID < page.Items[j].ID })
	return page.Items, err
}

// unfinished says what is not synced yet, empty when everything is. Events come first: they are what customers wait for.
func (d *demonstration) unfinished(ctx context.Context) (string, error) {
	events, _, err := d.store.Backlog(ctx)
	if err != nil || events > 0 {
		return fmt.Sprintf("%d events wait", events), err
	}
	customers, err := d.client.list(ctx)
	for _, one := range customers {
		if s := one.Providers["stripe"].State; s != "synced" && s != "archived" {
			return one.ID + " is " + s, err
		}
	}
	return "", err
}

// deliver posts the webhook bodies as Stripe would, each twice, as Stripe does now and then.
func (d *demonstration) deliver(ctx context.Context, folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no webhook bodies in %s: run this in the checkout, or say --webhooks", folder)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if err := d.seed(body); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		for range 2 {
			signed := http.Header{"Stripe-Signature": {stripetest.Sign(body, time.Now(), devWebhookSecret)}}
			if err := d.client.do(ctx, http.MethodPost, "/v1/webhooks/stripe", signed, body, nil); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	d.step("%d webhook bodies of several API versions delivered, each twice", len(files))
	return nil
}

// seed puts the customer a body tells of into the stand-in, so that there is another side to compare with.
func (d *demonstration) seed(body []byte) error {
	var event struct {
		Type string `json:"type"`
		Data struct {
			Object json.RawMessage `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return err
	}
	if event.Type != stripetest.CustomerCreated && event.Type != stripetest.CustomerUpdated {
		return nil
	}
	return d.stripe.Seed(event.Data.Object)
}

// compare holds the two sides against each other, field by field, without Tandem's help.
func (d *demonstration) compare(c customer) (verdict string, equal bool) {
	remote, found := d.stripe.Customer(c.remoteID())
	switch {
	case !found:
		return "NO OTHER SIDE", false
	case c.Status == "archived" && remote.Deleted:
		return "deleted", true
	case c.Status == "archived" || remote.Deleted:
		return "DIFFERENT", false
	}
	metadata := maps.Clone(remote.Metadata)
	maps.DeleteFunc(metadata, func(k, _ string) bool {
		return k == "flexprice_customer_id" || k == "flexprice_environment" || k == "external_id"
	})
	a := remote.Address
	same := c.Name == remote.Name && c.Email == remote.Email && c.Phone == remote.Phone &&
		c.Line1 == a["line1"] && c.Line2 == a["line2"] && c.City == a["city"] && c.State == a["state"] &&
		c.PostalCode == a["postal_code"] && c.Country == a["country"] && maps.Equal(c.Metadata, metadata)
	if !same {
		return "DIFFERENT", false
	}
	return "equal", true
}
