package starter_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/log"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/devstack"
	"github.com/tandem-sync/tandem/providers/stripe/stripetest"
	"github.com/tandem-sync/tandem/starter"
	"github.com/tandem-sync/tandem/workflows"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestIDs(t *testing.T) {
	t.Parallel()
	require.Equal(t, "outbound/cust_1", workflows.OutboundID("cust_1"))
	require.Equal(t, "inbound/stripe/cus_1", workflows.InboundID("stripe", "cus_1"))
}

func TestStarter(t *testing.T) {
	t.Parallel()
	s := startStack(t)
	for name, test := range map[string]func(*testing.T, *stack){
		"a create is answered, then synced, in one run":                testCreate,
		"the same change sent twenty times at once is one":             testSameChange,
		"twenty different changes at once are all made":                testManyChanges,
		"the same change in a later run is answered, not repeated":     testSameChangeLater,
		"a change sent while a run is closing is not lost":             testClosing,
		"a refusal reaches the caller as it was made":                  testRefused,
		"sync joins an open run":                                       testSyncOpen,
		"sync of a closed workflow starts a run, which ends":           testSyncClosed,
		"sync by a person finds what no event has told":                testSyncLooks,
		"a long call is made once, as long as its worker lives":        testLongCall,
		"settle waits for the end, or for its caller's patience":       testSettle,
		"events signalled twenty times are all processed, in few runs": testInbound,
		"an import is one short run":                                   testInboundSize,
		"cancelled in the middle, the next change brings the rest":     testCancelled,
		"check answers while Temporal does":                            testCheck,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

func testCreate(t *testing.T, s *stack) {
	id := newCustomerID()
	begun := time.Now()
	c, err := s.starter.Change(t.Context(), createOf(id))
	answered := time.Since(begun)
	require.NoError(t, err)
	require.Equal(t, id, c.ID)
	require.EqualValues(t, 1, c.Version)
	s.settled(t, id)
	t.Logf("answered after %s, synced after %s", answered.Round(time.Millisecond), time.Since(begun).Round(time.Millisecond))
	m := s.mapping(t, id)
	require.Equal(t, tandem.Synced, m.State)
	require.Equal(t, "Ada Example", s.remoteName(t, m.RemoteID))
	require.Equal(t, 1, s.writes("create", id))
	h := s.history(t, "outbound/"+id, "")
	t.Log(describe(h))
	require.LessOrEqual(t, len(h.Events), 20)
}

func testSameChange(t *testing.T, s *stack) {
	id, remoteID := s.customer(t)
	ch := renameOf(id, "Grace Example")
	versions := make([]int64, 20)
	together(20, func(i int) {
		c, err := s.starter.Change(t.Context(), ch)
		if err == nil {
			versions[i] = c.Version
		}
	})
	for _, v := range versions {
		require.EqualValues(t, 2, v)
	}
	s.settled(t, id)
	require.Equal(t, "Grace Example", s.remoteName(t, remoteID))
	require.Equal(t, 1, s.writes("update", id))
	require.Equal(t, 1, s.journaled(t, id, "update", ""))
}

// together runs f n times at once and waits for all.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

// journaled counts the lines of a customer's story with that action, of the customer itself or at a provider.
func (s *stack) journaled(t *testing.T, id, action, provider string) int {
	t.Helper()
	lines, err := s.store.Journal(t.Context(), id, 1000)
	require.NoError(t, err)
	n := 0
	for _, l := range lines {
		if l.Action == action && l.Provider == provider {
			n++
		}
	}
	return n
}

func testManyChanges(t *testing.T, s *stack) {
	id, remoteID := s.customer(t)
	errs := make([]error, 20)
	together(20, func(i int) { _, errs[i] = s.starter.Change(t.Context(), renameOf(id, fmt.Sprintf("Name %d", i))) })
	for _, err := range errs {
		require.NoError(t, err)
	}
	s.settled(t, id)
	c, err := s.store.Customer(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, 21, c.Version)
	require.Equal(t, c.Name, s.remoteName(t, remoteID))
	t.Logf("20 changes took %d updates at the provider", s.writes("update", id))
}

func testSameChangeLater(t *testing.T, s *stack) {
	id, _ := s.customer(t)
	ch := renameOf(id, "Grace Example")
	for range 2 {
		c, err := s.starter.Change(t.Context(), ch)
		require.NoError(t, err)
		require.EqualValues(t, 2, c.Version)
		s.settled(t, id)
	}
	require.Equal(t, 1, s.writes("update", id))
}

// testClosing sends every change at another moment of the run that the one before it started: while it calls, records
// or closes.
func testClosing(t *testing.T, s *stack) {
	const changes = 200
	id, remoteID := s.customer(t)
	counting := &countingClient{Client: s.client}
	own := starter.New(counting, []string{"stripe"})
	begun := time.Now()
	var slowest time.Duration
	for i := range changes {
		sent := time.Now()
		_, err := own.Change(t.Context(), renameOf(id, fmt.Sprintf("Name %d", i)))
		require.NoError(t, err, "change %d", i)
		slowest = max(slowest, time.Since(sent))
		<-time.After(rand.N(30 * time.Millisecond)) // a person's think time, in miniature
	}
	s.settled(t, id)
	t.Logf("%d changes in %s, slowest %s, %d of them sent again", changes,
		time.Since(begun).Round(time.Millisecond), slowest.Round(time.Millisecond), counting.updates.Load()-changes)
	c, err := s.store.Customer(t.Context(), id)
	require.NoError(t, err)
	require.EqualValues(t, changes+1, c.Version)
	require.Equal(t, fmt.Sprintf("Name %d", changes-1), s.remoteName(t, remoteID))
	require.Equal(t, tandem.Synced, s.mapping(t, id).State)
	require.Equal(t, changes, s.journaled(t, id, "update", ""))
}

func testRefused(t *testing.T, s *stack) {
	_, err := s.starter.Change(t.Context(), renameOf(newCustomerID(), "Nobody"))
	require.Equal(t, tandem.CodeCustomerNotFound, tandem.CodeOf(err))
	require.Equal(t, tandem.Invalid, tandem.ClassOf(err))

	external := newChangeID()
	for i, want := range []string{"", tandem.CodeExternalIDTaken} {
		ch := createOf(newCustomerID())
		ch.ExternalID = &external
		_, err := s.starter.Change(t.Context(), ch)
		if i == 0 {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, want, tandem.CodeOf(err))
		require.Equal(t, tandem.Conflict, tandem.ClassOf(err))
		s.settled(t, ch.CustomerID)
		require.Zero(t, s.writes("create", ch.CustomerID))
	}

	id, _ := s.customer(t)
	ch := renameOf(id, "Late Example")
	ch.ExpectedVersion = 7
	_, err = s.starter.Change(t.Context(), ch)
	require.Equal(t, tandem.CodeVersionMismatch, tandem.CodeOf(err))
}

func testSyncClosed(t *testing.T, s *stack) {
	id, _ := s.customer(t)
	first, err := s.starter.Sync(t.Context(), id, tandem.Cause{Kind: tandem.ByOperator, ID: "op_1"})
	require.NoError(t, err)
	require.Equal(t, "outbound/"+id, first.WorkflowID)
	s.ended(t, first)
	second, err := s.starter.Sync(t.Context(), id, tandem.Cause{Kind: tandem.ByOperator, ID: "op_2"})
	require.NoError(t, err)
	require.NotEqual(t, first.RunID, second.RunID)
	s.ended(t, second)
	h := s.history(t, second.WorkflowID, second.RunID)
	t.Log(describe(h))
	require.LessOrEqual(t, len(h.Events), 14) // with the look at the remote customer
	require.Zero(t, s.writes("update", id), "nothing was left to do")

	stranger, err := s.starter.Sync(t.Context(), newCustomerID(), tandem.Cause{Kind: tandem.ByOperator})
	require.NoError(t, err)
	s.ended(t, stranger)
}

// testSyncLooks: no webhook reaches this stack, so only a look can find anything.
func testSyncLooks(t *testing.T, s *stack) {
	operator := tandem.Cause{Kind: tandem.ByOperator, ID: "op_1"}
	edited, there := s.customer(t)
	_, err := s.standIn.EditCustomer(there, url.Values{"name": {"Edited There"}})
	require.NoError(t, err)
	run, err := s.starter.Sync(t.Context(), edited, operator)
	require.NoError(t, err)
	s.ended(t, run)
	c, err := s.store.Customer(t.Context(), edited)
	require.NoError(t, err)
	require.Equal(t, "Edited There", c.Name)
	require.Equal(t, tandem.Synced, s.mapping(t, edited).State)
	require.Zero(t, s.writes("update", edited))

	deleted, gone := s.customer(t)
	require.NoError(t, s.standIn.DeleteCustomer(gone))
	run, err = s.starter.Sync(t.Context(), deleted, tandem.Cause{Kind: tandem.ByWebhook})
	require.NoError(t, err)
	s.ended(t, run)
	require.Equal(t, tandem.Synced, s.mapping(t, deleted).State, "only a person's wish is worth a read")
	run, err = s.starter.Sync(t.Context(), deleted, operator)
	require.NoError(t, err)
	s.ended(t, run)
	c, err = s.store.Customer(t.Context(), deleted)
	require.NoError(t, err)
	require.Equal(t, tandem.Archived, c.Status)
	ms, err := s.store.ListMappings(t.Context(), tandem.MappingQuery{CustomerID: deleted, State: tandem.Ended, Limit: 1})
	require.NoError(t, err)
	require.Equal(t, tandem.DeletedRemote, ms[0].ArchivedReason)
}

// testLongCall holds a call longer than a worker without a sign of life is waited for.
func testLongCall(t *testing.T, s *stack) {
	id := newCustomerID()
	fault := s.standIn.AddFault(stripetest.Fault{Kind: stripetest.Hold, Op: "create", Contains: id, Count: -1})
	_, err := s.starter.Change(t.Context(), createOf(id))
	require.NoError(t, err)
	missed := func() bool { // the call was made again, and refused because its key is in use
		for _, o := range s.standIn.Operations() {
			if contains(o.IdempotencyKey, id) {
				return true
			}
		}
		return false
	}
	require.Never(t, missed, 13*time.Second, 100*time.Millisecond)
	s.standIn.RemoveFault(fault)
	s.settled(t, id)
	require.Equal(t, 1, s.writes("create", id))
}

func testSettle(t *testing.T, s *stack) {
	require.NoError(t, s.starter.Settle(t.Context(), newCustomerID()), "never heard of is settled")
	id, release := s.held(t)
	for i := range 40 { // the deadline of the call and that of its context pass at about the same time, in either order
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(20+i)*time.Millisecond)
		require.NoError(t, s.starter.Settle(ctx, id), "running out of patience is no error")
		cancel()
	}
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_RUNNING, s.status(t, id))
	release()
	s.settled(t, id)
	require.Equal(t, enums.WORKFLOW_EXECUTION_STATUS_COMPLETED, s.status(t, id))
}

func testSyncOpen(t *testing.T, s *stack) {
	id, release := s.held(t)
	one, err := s.starter.Sync(t.Context(), id, tandem.Cause{Kind: tandem.ByOperator})
	require.NoError(t, err)
	two, err := s.starter.Sync(t.Context(), id, tandem.Cause{Kind: tandem.ByOperator})
	require.NoError(t, err)
	require.Equal(t, one, two)
	release()
	s.ended(t, one)
	require.Equal(t, 1, s.writes("create", id))
	require.Equal(t, tandem.Synced, s.mapping(t, id).State)
}

func testCancelled(t *testing.T, s *stack) {
	id, release := s.held(t)
	require.NoError(t, s.client.CancelWorkflow(t.Context(), "outbound/"+id, ""))
	require.Error(t, s.client.GetWorkflow(t.Context(), "outbound/"+id, "").Get(t.Context(), nil))
	require.NotEqual(t, tandem.Parked, s.mapping(t, id).State)
	release()
	_, err := s.starter.Change(t.Context(), renameOf(id, "Grace Example"))
	require.NoError(t, err)
	s.settled(t, id)
	m := s.mapping(t, id)
	require.Equal(t, tandem.Synced, m.State)
	require.Equal(t, "Grace Example", s.remoteName(t, m.RemoteID))
	require.Equal(t, 1, s.writes("create", id))
}

func testCheck(t *testing.T, s *stack) {
	require.NoError(t, s.starter.Check(t.Context()))
}

func (s *stack) status(t *testing.T, id string) enums.WorkflowExecutionStatus {
	t.Helper()
	d, err := s.client.DescribeWorkflowExecution(t.Context(), "outbound/"+id, "")
	require.NoError(t, err)
	return d.WorkflowExecutionInfo.Status
}

// Temporal that cannot be reached is said within the caller's time, in a way that allows to ask again.
func TestUnreachable(t *testing.T) { //nolint:paralleltest // others are held to leaving no goroutine behind meanwhile
	temporal, err := devstack.StartTemporal(t.Context(), devstack.TemporalOptions{Headless: true})
	require.NoError(t, err)
	c, err := client.DialContext(t.Context(), client.Options{HostPort: temporal.Address(), Logger: log.NewStructuredLogger(quiet)})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	require.NoError(t, temporal.Stop())
	s := starter.New(c, []string{"stripe"})
	for name, wish := range map[string]func(ctx context.Context) error{
		"change":  func(ctx context.Context) error { _, err := s.Change(ctx, createOf(newCustomerID())); return err },
		"sync":    func(ctx context.Context) error { _, err := s.Sync(ctx, newCustomerID(), tandem.Cause{}); return err },
		"inbound": func(ctx context.Context) error { _, err := s.Inbound(ctx, "stripe", "cus_1", nil); return err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			err := wish(ctx)
			t.Logf("said so after %s", time.Since(begun).Round(time.Millisecond))
			require.Equal(t, tandem.Transient, tandem.ClassOf(err))
			require.Equal(t, tandem.CodeUnavailable, tandem.CodeOf(err))
			require.Less(t, time.Since(begun), 4*time.Second)
		})
	}
	t.Run("check", func(t *testing.T) {
		t.Parallel()
		require.Error(t, s.Check(t.Context()))
	})
}
